/** The steps by which a configuration changes, one server at a time. What may follow what is judged by membership.ts. */
import type { Configuration, NodeId } from './types.ts';

/** So many former members are remembered; beyond that the ones removed longest ago are forgotten. */
export const REMOVED_IDS_MAX = 1_000;

/** @returns whether a server takes part, with or without a vote */
export function isMember({ voters, learners }: Configuration, id: NodeId): boolean {
  return voters.includes(id) || learners.includes(id);
}

/** A new server receives the log, without a vote; or a learner is found under another address from now on. */
export function withLearner(config: Configuration, id: NodeId, address: string): Configuration {
  const learners = config.learners.includes(id) ? config.learners : [...config.learners, id];
  return withAddresses({ ...config, learners }, { [id]: address });
}

/** The learner gets a vote. */
export function withVoter(config: Configuration, id: NodeId): Configuration {
  return {
    ...config,
    voters: [...config.voters, id],
    learners: config.learners.filter((learner) => learner !== id),
  };
}

/** The server takes no part any more, and nobody will under its id. */
export function without(config: Configuration, id: NodeId): Configuration {
  const stays = (member: NodeId): boolean => member !== id;
  return {
    voters: config.voters.filter(stays),
    learners: config.learners.filter(stays),
    ...(config.addresses === undefined
      ? {}
      : {
          addresses: Object.fromEntries(
            Object.entries(config.addresses).filter(([member]) => stays(member as NodeId)),
          ),
        }),
    removed: [...(config.removed ?? []).filter(stays), id].slice(-REMOVED_IDS_MAX),
  };
}

/** The same members; those named are dialed at these addresses from now on. Who is no member is passed over. */
export function withAddresses(
  config: Configuration,
  addresses: Readonly<Record<string, string>>,
): Configuration {
  const own = Object.entries(addresses).filter(([id]) => isMember(config, id as NodeId));
  return { ...config, addresses: { ...config.addresses, ...Object.fromEntries(own) } };
}
