/**
 * Changes of who takes part, one server at a time, as their caller sees them: a server is added without a vote, brought up
 * to date, and only then given one (thesis §4.2.1). The core guards the rules that keep the log safe; what is refused here
 * besides is what would leave the cluster unable to commit anything.
 */
import type { ProposeResult } from '../consensus.ts';
import { isMember, withLearner, without, withVoter } from '../core/configuration.ts';
import { sameConfiguration } from '../core/membership.ts';
import type { Configuration, NodeId, RaftStatus } from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { Timers } from '../timers.ts';

export type MembershipRefusal =
  /** The server of that id is or was another one. */
  | 'used_id'
  | 'used_address'
  /** Another change goes on, or the core cannot begin one now. */
  | 'not_now'
  /** Nobody answers there, or somebody else does. */
  | 'not_reachable'
  /** It is a learner now, but was still behind when the time was over. */
  | 'not_caught_up'
  /** Too few of the voters there would be then are within reach. */
  | 'would_lose_quorum'
  | 'last_voter'
  | 'no_member';

export type MembershipResult =
  /** Committed; or it was so already. */
  | { readonly kind: 'done'; readonly config: Configuration }
  | { readonly kind: 'refused'; readonly reason: MembershipRefusal; readonly message: string }
  | { readonly kind: 'notLeader'; readonly leader: NodeId | null }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface AddMember {
  readonly id: NodeId;
  /** host:port */
  readonly address: string;
  /** It stays without a vote. */
  readonly learner: boolean;
}

export interface MembershipChangesOptions {
  readonly self: NodeId;
  readonly timers: Timers;
  readonly log: RaftLogger;
  readonly status: () => RaftStatus;
  /** Milliseconds since anything was heard of a server; null: never. */
  readonly silentMs: (id: NodeId) => number | null;
  /** A voter that is not heard for this long counts as out of reach. */
  readonly contactMs: number;
  readonly propose: (config: Configuration) => Promise<ProposeResult<null>>;
  /** Why the server at this address cannot be reached or is not the one; null: it is. */
  readonly probe: (id: NodeId, address: string) => Promise<string | null>;
  /** A new server must have caught up within this time. */
  readonly catchUpMs: number;
  /** It has, once a round (all that was there at its start) took less than this: an election timeout. */
  readonly roundMs: number;
  /** A change must be committed within this time, or its outcome is unknown. */
  readonly commitMs: number;
}

/** How often the new server's progress is looked at. */
const POLL_MS = 20;

interface Current {
  readonly what: string;
  readonly result: Promise<MembershipResult>;
}

export class MembershipChanges {
  readonly #options: MembershipChangesOptions;
  #current: Current | null = null;

  constructor(options: MembershipChangesOptions) {
    this.#options = options;
  }

  /** Resolves when the server has its vote (or, as a learner, takes part). Doing it again is the same as once. */
  add(wanted: AddMember): Promise<MembershipResult> {
    const what = `${wanted.id} (${wanted.address}) is being added${wanted.learner ? ' as a learner' : ''}`;
    return this.#exclusively(what, () => this.#add(wanted));
  }

  /** Resolves when the removal is committed. A leader that removes itself leads no more then (thesis §4.2.2). */
  remove(id: NodeId): Promise<MembershipResult> {
    return this.#exclusively(`${id} is being removed`, () => this.#remove(id));
  }

  /** One at a time; the same asked for twice is one. */
  #exclusively(what: string, change: () => Promise<MembershipResult>): Promise<MembershipResult> {
    const { leader, role } = this.#options.status();
    if (role !== 'leader') return Promise.resolve({ kind: 'notLeader', leader });
    const current = this.#current;
    if (current?.what === what) return current.result;
    if (current !== null) {
      return Promise.resolve(refused('not_now', `${current.what}: one membership change at a time`));
    }
    const result = change();
    this.#current = { what, result };
    const over = (): void => {
      this.#current = null;
    };
    result.then(over, over);
    return result;
  }

  async #add({ id, address, learner }: AddMember): Promise<MembershipResult> {
    const { config } = this.#options.status();
    const known = config.addresses?.[id];
    if (config.removed?.includes(id) === true) {
      const message = `${id} was removed from the cluster, and an id is never used again: start it with an empty folder under a new one`;
      return refused('used_id', message);
    }
    const holder = memberAt(config, address);
    if (holder !== null && holder !== id) return refused('used_address', `${address} is ${holder}'s address`);
    if (config.voters.includes(id)) {
      if (known === address && !learner) return { kind: 'done', config };
      const message = `${id} is a voter already${known === undefined ? '' : `, at ${known}`}: a new server needs an id of its own`;
      return refused('used_id', message);
    }
    if (!config.learners.includes(id) || known !== address) {
      const begun = await this.#begin(config, id, address);
      if (begun.kind !== 'done') return begun;
    }
    return learner ? { kind: 'done', config: this.#options.status().config } : this.#promote(id);
  }

  /** The server receives the log from now on. */
  async #begin(config: Configuration, id: NodeId, address: string): Promise<MembershipResult> {
    const { probe, log } = this.#options;
    const fault = await probe(id, address);
    if (fault !== null) return refused('not_reachable', `no server ${id} answers at ${address}: ${fault}`);
    const result = await this.#change(config, withLearner(config, id, address));
    if (result.kind === 'done') log.info(`raft: ${id} (${address}) is a learner`);
    return result;
  }

  async #promote(id: NodeId): Promise<MembershipResult> {
    const { status, timers, catchUpMs, log } = this.#options;
    const deadlineMs = timers.nowMs() + catchUpMs;
    for (;;) {
      const caughtUp = await this.#catchUp(id, deadlineMs);
      if (caughtUp !== null) return caughtUp;
      const { config } = status();
      const voters = [...config.voters, id];
      const lacking = await this.#quorumLacking(voters);
      if (lacking !== null) return refused('would_lose_quorum', `with ${id} ${lacking}`);
      const result = await this.#change(config, withVoter(config, id));
      if (result.kind === 'done') log.info(`raft: ${id} is a voter`);
      // It may have fallen behind again in between: another round.
      const mayTryAgain = result.kind === 'refused' && result.reason === 'not_now';
      if (!mayTryAgain || timers.nowMs() >= deadlineMs) return result;
      await this.#pause();
    }
  }

  /**
   * Rounds, each of which brings over what was in the log when it began, until one was quick: what came meanwhile is little
   * (thesis §4.2.1). @returns null once that is so
   */
  async #catchUp(id: NodeId, deadlineMs: number): Promise<MembershipResult | null> {
    const { status, timers, roundMs, catchUpMs } = this.#options;
    let { lastIndex: target } = status();
    let startedAtMs = timers.nowMs();
    for (;;) {
      const { role, leader, lastIndex, peers, config } = status();
      if (role !== 'leader') return { kind: 'notLeader', leader };
      const peer = peers.get(id);
      if (peer === undefined || !isMember(config, id)) return refused('no_member', `${id} was removed again`);
      if (peer.matchIndex >= target) {
        if (timers.nowMs() - startedAtMs <= roundMs) return null;
        target = lastIndex;
        startedAtMs = timers.nowMs();
        continue;
      }
      if (timers.nowMs() >= deadlineMs) {
        const message =
          `${id} still lacks ${lastIndex - peer.matchIndex} entries after ${catchUpMs / 1000} s: ` +
          'it stays a learner and goes on catching up; ask for it again to give it its vote, or remove it';
        return refused('not_caught_up', message);
      }
      await this.#pause();
    }
  }

  async #remove(id: NodeId): Promise<MembershipResult> {
    const { status, log } = this.#options;
    const { config } = status();
    if (!isMember(config, id)) {
      // Asked again because the first answer was lost.
      if (config.removed?.includes(id) === true) return { kind: 'done', config };
      const members = [...config.voters, ...config.learners].join(', ');
      return refused('no_member', `there is no server ${id}, but ${members}`);
    }
    const voters = config.voters.filter((voter) => voter !== id);
    if (voters.length === 0) return refused('last_voter', `${id} is the only voter`);
    const lacking = config.voters.includes(id) ? await this.#quorumLacking(voters) : null;
    if (lacking !== null) return refused('would_lose_quorum', `without ${id} ${lacking}`);
    const result = await this.#change(config, without(config, id));
    if (result.kind === 'done') log.info(`raft: ${id} is no member any more`);
    return result;
  }

  /**
   * What `voters` would lack to commit anything; null as soon as enough of them were heard after it was asked. (One that
   * has just died still looks alive by what was heard before.)
   */
  async #quorumLacking(voters: readonly NodeId[]): Promise<string | null> {
    const { self, timers, silentMs, contactMs } = this.#options;
    const askedAtMs = timers.nowMs();
    const needed = Math.floor(voters.length / 2) + 1;
    for (;;) {
      const waitedMs = timers.nowMs() - askedAtMs;
      const away = voters.filter((voter) => voter !== self && (silentMs(voter) ?? Infinity) >= waitedMs);
      const reachable = voters.length - away.length;
      if (reachable >= needed) return null;
      if (waitedMs >= contactMs) {
        return (
          `the cluster would have ${voters.length} voters and need ${needed} of them, but only ${reachable} can be reached ` +
          `(${away.join(', ')} cannot): remove those that are gone for good first, or bring them back`
        );
      }
      await this.#pause();
    }
  }

  /** @param from what `config` was made of: if that has changed meanwhile, the change would take something of it back */
  async #change(from: Configuration, config: Configuration): Promise<MembershipResult> {
    const { propose, timers, commitMs, status } = this.#options;
    const { role, leader, config: current } = status();
    if (role !== 'leader') return { kind: 'notLeader', leader };
    if (!sameConfiguration(current, from))
      return refused('not_now', 'who takes part has changed meanwhile: ask again');
    const proposed = propose(config).then(resultOf(config));
    return new Promise((resolve, reject) => {
      const cancel = timers.after(commitMs, () =>
        resolve({ kind: 'unknown', reason: `not committed within ${commitMs / 1000} s` }),
      );
      proposed.finally(cancel).then(resolve, reject);
    });
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#options.timers.after(POLL_MS, resolve));
  }
}

function resultOf(config: Configuration): (result: ProposeResult<null>) => MembershipResult {
  return (result) => {
    switch (result.kind) {
      case 'applied':
        return { kind: 'done', config };
      case 'overloaded':
        return refused('not_now', result.limit);
      case 'notLeader':
      case 'unknown':
        return result;
    }
  };
}

function refused(reason: MembershipRefusal, message: string): MembershipResult {
  return { kind: 'refused', reason, message };
}

function memberAt(config: Configuration, address: string): NodeId | null {
  const found = Object.entries(config.addresses ?? {}).find(([, known]) => known === address);
  return found === undefined ? null : (found[0] as NodeId);
}
