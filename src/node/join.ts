/**
 * How a new server gets into a running cluster (`clb server --join`): it asks any server for the cluster's id and members
 * before it opens its empty folder, and once it runs it asks to be added until it is. A restart finds all that in the folder.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { peersSchema } from '../api/peers.ts';
import type { PeersView } from '../api/peers.ts';
import { NodeFault } from './faults.ts';

/** A server that has the lead brings the new one up to date before it answers. */
const ADD_ANSWER_MS_MAX = 75_000;
const ASK_ANSWER_MS_MAX = 3_000;
const RETRY_MS = 1_000;

export interface JoinLog {
  info(message: string): void;
  warn(message: string): void;
}

export interface JoinOptions {
  readonly id: string;
  /** host:port where the other servers reach this one. */
  readonly address: string;
  readonly learner: boolean;
  readonly token: string | null;
  readonly log: JoinLog;
  readonly signal: AbortSignal;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const errorSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    details: z.object({ reason: z.string() }).partial().optional().catch(undefined),
  }),
});

/**
 * Asks the given servers, one after the other and again, who takes part.
 * @throws NodeFault where one of them says that it will never talk to this server; the signal's reason when it is aborted
 */
export async function askForMembers(servers: readonly string[], options: JoinOptions): Promise<PeersView> {
  const complain = complainer(options.log);
  for (;;) {
    for (const server of servers) {
      const answer = await ask(server, 'GET', '/v1/raft/peers', null, ASK_ANSWER_MS_MAX, options);
      if (typeof answer === 'string') {
        complain(`join: no answer from ${server}: ${answer}`);
        continue;
      }
      const parsed = peersSchema.safeParse(answer.body);
      if (answer.status === 200 && parsed.success) return checkedMembers(parsed.data, options);
      complain(`join: ${server} cannot tell who takes part: ${messageOf(answer)}`);
      if (isHopeless(answer.status)) throw refusedFault(server, answer);
    }
    await delay(RETRY_MS, undefined, { signal: options.signal });
  }
}

/** @throws NodeFault where this server can't be added to those */
function checkedMembers(members: PeersView, { id, address }: JoinOptions): PeersView {
  if (members.removed.includes(id)) {
    throw new NodeFault(
      'CONFIG',
      `${id} was removed from the cluster, and an id is never used again: give this server a new --id and an empty --data`,
    );
  }
  const known = members.peers.find((peer) => peer.id === id);
  if (known?.role === 'voter') {
    throw new NodeFault(
      'CONFIG',
      `the cluster has a server ${id} (${known.address ?? 'address unknown'}) already, and this folder is empty: a server that ` +
        'lost its disk may not come back under its id; start it under a new --id, and remove the old one with ' +
        `clb raft remove ${id}`,
    );
  }
  const holder = members.peers.find((peer) => peer.address === address && peer.id !== id);
  if (holder !== undefined) {
    throw new NodeFault('CONFIG', `${address} is the address of ${holder.id}: see --port and --advertise`);
  }
  return members;
}

/**
 * Asks to be added, until that is done. `servers` is asked anew each time: the log names more of them in time.
 * @throws NodeFault where it was refused for good; the signal's reason when it is aborted
 */
export async function askToBeAdded(
  servers: () => readonly string[],
  isDone: () => boolean,
  options: JoinOptions,
): Promise<void> {
  const { id, address, learner, log } = options;
  const complain = complainer(log);
  const body = JSON.stringify({ address, ...(learner ? { learner } : {}) });
  const joined = `join: ${id} is a ${learner ? 'learner' : 'voter'} of the cluster`;
  log.info(`join: asking to be added as ${id}, reached at ${address}`);
  while (!isDone()) {
    for (const server of servers()) {
      const answer = await ask(server, 'POST', `/v1/raft/peers/${id}`, body, ADD_ANSWER_MS_MAX, options);
      if (isDone()) break;
      if (typeof answer === 'string') {
        complain(`join: no answer from ${server}: ${answer}`);
        continue;
      }
      if (answer.status === 200) {
        log.info(joined);
        return;
      }
      complain(`join: not yet, ${server} says: ${messageOf(answer)}`);
      if (isHopeless(answer.status) || isRefusedForGood(answer)) throw refusedFault(server, answer);
    }
    if (!isDone()) await delay(RETRY_MS, undefined, { signal: options.signal });
  }
  // Its own log said so first.
  log.info(joined);
}

/** The answer, or why there is none. */
async function ask(
  server: string,
  method: 'GET' | 'POST',
  path: string,
  body: string | null,
  answerMsMax: number,
  { token, signal }: JoinOptions,
): Promise<Answer | string> {
  try {
    const response = await fetch(`http://${server}${path}`, {
      method,
      headers: {
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]),
    });
    return { status: response.status, body: await response.json() };
  } catch (error) {
    signal.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/** Bad token, bad id: asking again changes nothing. */
function isHopeless(status: number): boolean {
  return status === 400 || status === 401 || status === 403;
}

function isRefusedForGood(answer: Answer): boolean {
  const parsed = errorSchema.safeParse(answer.body);
  const reason = parsed.success ? parsed.data.error.details?.reason : undefined;
  return answer.status === 409 && (reason === 'used_id' || reason === 'used_address');
}

function refusedFault(server: string, answer: Answer): NodeFault {
  return new NodeFault('CONFIG', `--join: ${server} refuses: ${messageOf(answer)}`);
}

function messageOf(answer: Answer): string {
  const parsed = errorSchema.safeParse(answer.body);
  return parsed.success ? parsed.data.error.message : `status ${answer.status}`;
}

/** The same complaint once, not each second. */
function complainer(log: JoinLog): (message: string) => void {
  let last = '';
  return (message) => {
    if (message !== last) log.warn(message);
    last = message;
  };
}
