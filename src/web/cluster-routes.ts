/** /v1/nodes, /v1/queue, /v1/raft, /v1/events: the cluster itself. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import type { Cluster } from '../api/cluster.ts';
import type { FaultRequest, FaultsView } from '../api/faults.ts';
import { LIMITS } from '../api/limits.ts';
import { drainRequestSchema, queueRequestSchema, transferRequestSchema } from '../api/requests.ts';
import { mountAuditRoute } from './audit-route.ts';
import { streamEvents } from './event-stream.ts';
import { answerFault, checkedFault } from './fault-routes.ts';
import type { FaultControl } from './fault-routes.ts';
import { checked, flag, invalid, listCursor, queryOf, shortened, staleQuery, wholeNumber } from './input.ts';
import { parseJson } from './request-body.ts';
import { faultInjectionOff, stopRequestSchema } from './stop.ts';
import { read } from './task-routes.ts';
import type { TaskRouteDeps } from './task-routes.ts';

const LOG_ENTRIES_DEFAULT = 100;

/**
 * Reaches another node's POST /stop; resolves to what it says. @throws ApiError NOT_FOUND where no address of it is known
 * here, UNAVAILABLE where it does not answer, or what it answered.
 */
export type StopNode = (id: string, stopped: boolean) => Promise<boolean>;

/** Reaches another node's POST /faults; else as {@link StopNode}. */
export type InjectFault = (id: string, request: FaultRequest) => Promise<FaultsView>;

export interface ClusterRouteDeps extends TaskRouteDeps {
  readonly nodeId: string;
  /** null: fault injection is off. */
  readonly stopNode: StopNode | null;
  readonly injectFault: InjectFault | null;
  readonly faults: FaultControl | null;
}

export function mountClusterRoutes(deps: ClusterRouteDeps): void {
  mountNodeRoutes(deps);
  mountQueueRoutes(deps);
  mountRaftRoutes(deps);
  const { shell, local } = deps;
  shell.route('get', '/v1/events', (req, res) => streamEvents(shell.events, local(), req, res));
}

function mountNodeRoutes(deps: ClusterRouteDeps): void {
  const { shell, gate, local } = deps;
  const { answers, bodies } = shell;

  shell.route('get', '/v1/nodes', async (req, res) => {
    const stale = staleQuery(req);
    await read(gate, local, req, res, stale, (cluster) => {
      answers.json(res, 200, { nodes: cluster.nodes() });
    });
  });

  shell.route('post', '/v1/nodes/:id/drain', async (req, res) => {
    const id = nodeId(req.params['id']);
    queryOf(req, []);
    const body = await bodies.read(req, res, LIMITS.bodyBytesMax);
    await gate.call(req, res, {
      body,
      // It sets what it says, however often.
      repeatable: () => true,
      run: async (cluster) => {
        const { drain, deadlineMs = null } = checked(drainRequestSchema, parseJson(body), [
          'drain',
          'deadlineMs',
        ]);
        await cluster.drain(id, drain, deadlineMs);
        const node = cluster.nodes().find((candidate) => candidate.id === id);
        if (node === undefined) throw new ApiError('NOT_FOUND', `no node ${shortened(id)}`);
        answers.json(res, 200, node);
      },
    });
  });

  shell.route('post', '/v1/nodes/:id/stop', async (req, res) => {
    const id = nodeId(req.params['id']);
    queryOf(req, []);
    const body = await bodies.read(req, res, LIMITS.bodyBytesMax);
    const { stopped } = checked(stopRequestSchema, parseJson(body), ['stopped']);
    if (id === deps.nodeId) {
      await answerOwnStop(deps, res, stopped);
      return;
    }
    const { stopNode } = deps;
    if (stopNode === null) throw faultInjectionOff();
    await answerReached(deps, req, res, body, async () => ({ stopped: await stopNode(id, stopped) }));
  });

  shell.route('post', '/v1/nodes/:id/faults', async (req, res) => {
    const id = nodeId(req.params['id']);
    queryOf(req, []);
    const body = await bodies.read(req, res, LIMITS.bodyBytesMax);
    const request = checkedFault(body);
    const { injectFault } = deps;
    if (id === deps.nodeId) answerFault(deps.faults, answers, request, res);
    else if (injectFault === null) throw faultInjectionOff();
    else await answerReached(deps, req, res, body, () => injectFault(id, request));
  });
}

/** Answers with what another node answered; where its address is not known here, the master, who knows workers too, is asked. */
async function answerReached(
  { shell, gate }: ClusterRouteDeps,
  req: IncomingMessage,
  res: ServerResponse,
  body: Buffer,
  reach: () => Promise<unknown>,
): Promise<void> {
  try {
    shell.answers.json(res, 200, await reach());
  } catch (error) {
    const unknownHere = error instanceof ApiError && error.code === 'NOT_FOUND';
    if (!unknownHere) throw error;
    await gate.call(req, res, { body, repeatable: () => true, run: () => Promise.reject(error) });
  }
}

async function answerOwnStop(deps: ClusterRouteDeps, res: ServerResponse, stopped: boolean): Promise<void> {
  deps.shell.spare(res);
  deps.shell.answers.json(res, 200, { stopped: await deps.shell.stop.set(stopped) });
}

function mountQueueRoutes(deps: ClusterRouteDeps): void {
  const { shell, gate, local } = deps;
  const { answers, bodies } = shell;

  shell.route('get', '/v1/queue', async (req, res) => {
    const stale = staleQuery(req);
    await read(gate, local, req, res, stale, (cluster) => {
      answers.json(res, 200, cluster.queue());
    });
  });

  shell.route('post', '/v1/queue', async (req, res) => {
    queryOf(req, []);
    const body = await bodies.read(req, res, LIMITS.bodyBytesMax);
    await gate.call(req, res, {
      body,
      repeatable: () => true,
      run: async (cluster) => {
        const { paused } = checked(queueRequestSchema, parseJson(body), ['paused']);
        await cluster.pauseQueue(paused);
        answers.json(res, 200, cluster.queue());
      },
    });
  });
}

function mountRaftRoutes(deps: ClusterRouteDeps): void {
  const { shell, local } = deps;
  shell.route('get', '/v1/raft', (req, res) => {
    staleQuery(req);
    shell.answers.json(res, 200, local().raft());
  });

  shell.route('get', '/v1/raft/log', (req, res) => {
    const query = queryOf(req, ['from', 'to', 'stale']);
    flag('stale', query.stale);
    const cluster = local();
    const { from, to } = logRange(cluster, query.from, query.to);
    shell.answers.json(res, 200, { entries: from > to ? [] : cluster.raftLog(from, to) });
  });

  mountAuditRoute(shell, local);

  shell.route('get', '/v1/state', async (req, res) => {
    const query = queryOf(req, ['at', 'limit', 'cursor', 'stale']);
    flag('stale', query.stale);
    const any = { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 };
    const limit = { min: 1, max: LIMITS.listLimitMax, otherwise: LIMITS.listLimitDefault };
    const state = await local().stateAt({
      at: query.at === undefined ? null : wholeNumber('at', query.at, any),
      limit: wholeNumber('limit', query.limit, limit),
      ...listCursor(query.cursor),
    });
    shell.answers.json(res, 200, state);
  });

  shell.route('post', '/v1/raft/transfer', (req, res) => answerTransfer(deps, req, res));
}

/**
 * The master hands over. Asked of a follower, the connection to the old master may break just when it is done: the call is
 * repeated, and the new master says that it leads already.
 */
async function answerTransfer(
  { shell, gate }: ClusterRouteDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  queryOf(req, []);
  const body = await shell.bodies.read(req, res, LIMITS.bodyBytesMax);
  await gate.call(req, res, {
    body,
    repeatable: () => true,
    run: async (cluster) => {
      const { to } = checked(transferRequestSchema, parseJson(body), ['to']);
      shell.answers.json(res, 200, await cluster.transferLeadership(to));
    },
  });
}

/** Both ends inclusive. Without them: the newest. @throws ApiError INVALID */
function logRange(
  cluster: Cluster,
  fromText: string | undefined,
  toText: string | undefined,
): { readonly from: number; readonly to: number } {
  const { firstIndex, lastIndex } = cluster.raft();
  const entriesMax = LIMITS.raftLogEntriesPerCallMax;
  const any = { min: 0, max: Number.MAX_SAFE_INTEGER };
  const from = fromText === undefined ? null : wholeNumber('from', fromText, { ...any, otherwise: 0 });
  const to =
    toText === undefined
      ? Math.min(lastIndex, (from ?? lastIndex) + entriesMax - 1)
      : wholeNumber('to', toText, { ...any, otherwise: 0 });
  const first = from ?? Math.max(firstIndex, to - LOG_ENTRIES_DEFAULT + 1);
  if (to - first + 1 > entriesMax) {
    throw invalid([
      { field: 'to', message: `${to - first + 1} entries are above the limit of ${entriesMax} per call` },
    ]);
  }
  return { from: Math.max(first, firstIndex), to: Math.min(to, lastIndex) };
}

function nodeId(parameter: unknown): string {
  const id = String(parameter);
  if (id.length > LIMITS.nodeIdCharsMax) throw new ApiError('NOT_FOUND', `no node ${shortened(id)}`);
  return id;
}
