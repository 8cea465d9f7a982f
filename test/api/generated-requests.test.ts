/**
 * Goal: a generic client that knows nothing but /v1/openapi.json can neither bring a node down nor get an answer that is
 * not described. Method: thousands of requests, right ones and wrong ones, made up from what the cluster serves under that
 * address, sent to the client node and to each server of a real cluster, a few at a time; nodes are stopped, frozen and cut
 * off and the lead is moved meanwhile, as the API offers it. `CLB_API_REQUESTS=20000 CLB_API_SEED=7`: more, of another seed.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PeersView } from '../../src/api/peers.ts';
import type { TaskView } from '../../src/api/tasks.ts';
import { eventually, ProcessCluster } from '../cluster/processes.ts';
import { ApiDescription } from '../web/api-description.ts';
import type { Got, Operation } from '../web/api-description.ts';
import { Requests, send } from '../web/api-requests.ts';
import type { Made } from '../web/api-requests.ts';
import { Dice } from '../web/json-schema.ts';

const REQUESTS = Number(process.env['CLB_API_REQUESTS'] ?? 5_000);
const SEED = Number(process.env['CLB_API_SEED'] ?? 1);
/** Under way at once. */
const LANES = 6;
const ASKED = ['client', 'server1', 'server2', 'server3'];
const NODES = ['server1', 'server2', 'server3', 'worker1'];
/** What holds up everybody is asked for less often than the rest: one in so many times that its turn comes. */
const RARE: Readonly<Record<string, number>> = { stopNode: 3, injectFault: 3, transferLeadership: 4 };
const STOPPING: ReadonlySet<string> = new Set(['stopNode', 'injectFault']);
/** A frozen node holds up those who ask it. */
const FAULT_MS_MAX = 300;
/** After so many requests whatever is stopped is started again. */
const MEND_EVERY = 40;
/** Kept of a task, so that there is one to ask for. */
const FILE = 'kept.txt';
const CONNECTION_ENDED = /socket hang up|aborted|ECONNRESET|EPIPE/;
const NOTHING: Made = { path: '', headers: {}, body: null, valid: null };

describe('a real cluster and a generic client', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  let api: ApiDescription;
  let pids: ReadonlyMap<string, number>;
  before(async () => {
    cluster = await ProcessCluster.start();
    pids = new Map(cluster.nodes.map((node) => [node.id, cluster.pid(node.id)]));
    api = new ApiDescription(await cluster.get('client', '/v1/openapi.json'));
  });
  after(async () => cluster.destroy());

  const address = (id: string): string => `127.0.0.1:${cluster.node(id).port}`;

  /** Resolves to the id of a task that has succeeded, asked of `id`. */
  async function run(task: object, id = 'client'): Promise<string> {
    const { body, status } = await cluster.request<TaskView>(id, 'POST', '/v1/tasks', task);
    assert.equal(status, 201, JSON.stringify(body));
    await eventually(`a task sent to ${id} succeeds`, async () => {
      const view = await cluster.get<TaskView>(id, `/v1/tasks/${body.id}?wait=10s`);
      return view.status === 'succeeded';
    });
    return body.id;
  }

  /** Starts again what is stopped, whoever did that; resolves to the number of nodes. */
  async function mend(): Promise<number> {
    const stopped: string[] = [];
    for (const id of NODES) {
      const { body } = await cluster.request<{ stopped: boolean }>(id, 'GET', '/healthz');
      if (body.stopped) stopped.push(id);
    }
    for (const id of stopped) {
      assert.equal((await cluster.request(id, 'POST', '/stop', { stopped: false })).status, 200);
    }
    return stopped.length;
  }

  /** Asks and checks what is answered; null: a stop cut the connection off, as a crash would. */
  async function exchange(
    operation: Operation,
    one: Made,
    id: string,
    at: string,
    mayBreak: () => boolean,
  ): Promise<Got | null> {
    let got: Got;
    try {
      got = await send(address(id), operation.method, one);
    } catch (error) {
      assert.match(String(error), CONNECTION_ENDED, at);
      assert.ok(mayBreak(), `${at}: no answer, and nothing was stopped`);
      return null;
    }
    api.check(operation, got, at);
    if (one.valid === true) assert.notEqual(got.status, 400, `${at}: ${got.text.slice(0, 300)}`);
    if (one.valid === false) assert.ok(got.status >= 400, `${at}: ${got.status} though it is wrong`);
    return got;
  }

  it('is told the same by every server', async () => {
    for (const id of cluster.serverIds) {
      const served: ConstructorParameters<typeof ApiDescription>[0] = await cluster.get(
        id,
        '/v1/openapi.json',
      );
      assert.deepEqual(new ApiDescription(served).operations, api.operations, id);
    }
  });

  it(`gets answers that are described to ${REQUESTS} requests of seed ${SEED}`, async (t) => {
    const dice = new Dice(SEED);
    const script = `open(${JSON.stringify(FILE)}, 'w').write('kept')`;
    const withFile = await run({ script, collect: ['*'] });
    const made: Requests = new Requests(api, dice, {
      inPath: (operation, parameter, id) => {
        // A server that is removed ends: the last test does that.
        if (operation === 'removePeer' && NODES.includes(id)) return 'nothing';
        if (STOPPING.has(operation) && dice.oneIn(2)) return dice.pick(NODES);
        if (operation === 'addPeer' && dice.oneIn(3)) return 'server2';
        if (operation !== 'getTaskFile' || dice.oneIn(3)) return id;
        return parameter === 'id' ? withFile : FILE;
      },
      tame: (body) =>
        tame(body, { after: [made.ids.at(-1)], address: address('server2'), to: dice.pick(NODES), ...TIMES }),
    });
    made.ids.push('server2', 'server3', withFile);
    const tally = new Tally();
    let sent = 0;
    /** Number of the last request that stops a node, or arms what stops it. */
    let lastStop = -Infinity;
    let stopped = 0;
    let brokenOff = 0;

    const next = async (): Promise<void> => {
      let operation = dice.pick(api.operations);
      while (!dice.oneIn(RARE[operation.operation.operationId] ?? 1)) operation = dice.pick(api.operations);
      const { operationId } = operation.operation;
      const [id, one, number] = [dice.pick(ASKED), made.make(operation), sent];
      sent += 1;
      if (STOPPING.has(operationId)) lastStop = number;
      const at = `seed ${SEED}, request ${number} to ${id}: ${operation.method} ${one.path.slice(0, 200)} ${String(one.body).slice(0, 300)}`;
      const got = await exchange(operation, one, id, at, () => lastStop > number - MEND_EVERY);
      if (got === null) brokenOff += 1;
      else tally.add(operationId, got.status);
      if (got?.status === 201) learn(made, operationId, JSON.parse(got.text) as { id: string });
      if (number % MEND_EVERY === 0) stopped += await mend();
    };
    const begunMs = performance.now();
    await inLanes(LANES, () => (sent < REQUESTS ? next() : null));
    const seconds = (performance.now() - begunMs) / 1_000;
    await mend();

    const others = `${stopped} stopped nodes, ${brokenOff} answers broken off`;
    t.diagnostic(`seed ${SEED}: ${REQUESTS} requests in ${seconds.toFixed(1)} s, ${others}`);
    for (const line of tally.lines()) t.diagnostic(line);
    assert.ok(brokenOff <= REQUESTS / 50, others);
    const undone = api.operations
      .map(({ operation }) => operation.operationId)
      .filter((id) => id !== 'removePeer' && !tally.statuses(id).some((status) => status < 300));
    assert.deepEqual(undone, [], 'these never succeeded');
  });

  it('is refused in the same form where it asks for what there is not', async () => {
    const [any] = api.operations.filter(({ operation }) => operation.operationId === 'getTask');
    assert.ok(any !== undefined);
    const paths = new Set(api.operations.map(({ path }) => path));
    for (const path of [...paths, '/v1', '/v1/', '/v1/nothing', '/v1//tasks', '/v1/tasks/a/b/c']) {
      const described = api.operations.filter((operation) => operation.path === path);
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
        if (described.some((operation) => operation.method === method)) continue;
        const one = { ...NOTHING, path: path.replace(/\{\w+\}/g, 'x') };
        for (const id of ASKED) {
          const at = `${method} ${one.path} of ${id}`;
          const got = await exchange({ ...any, method }, one, id, at, () => false);
          assert.equal(got?.status, 404, at);
        }
      }
    }
  });

  it('finds every process still there, and running tasks', async () => {
    for (const [id, pid] of pids) assert.equal(cluster.pid(id), pid, id);
    await eventually(
      'the queue goes on',
      async () => (await cluster.request('client', 'POST', '/v1/queue', { paused: false })).status === 200,
    );
    for (const id of NODES) {
      const drained = await cluster.request('client', 'POST', `/v1/nodes/${id}/drain`, { drain: false });
      assert.equal(drained.status, 200);
    }
    await cluster.whenReady();
    for (const id of ASKED) await run({ command: ['true'], priority: 100 }, id);
  });

  it('adds a server and removes it', async () => {
    const id = 'server4';
    cluster.planJoin(id, cluster.serverIds);
    cluster.startNode(id);
    const pid = cluster.pid(id);
    const headers = { 'content-type': 'application/json' };
    const path = `/v1/raft/peers/${id}`;
    for (const operation of api.operations.filter((one) => one.path === '/v1/raft/peers/{id}')) {
      const adds = operation.method === 'POST';
      const body = adds ? JSON.stringify({ address: address(id) }) : null;
      const one = { path, headers: adds ? headers : {}, body, valid: true };
      await eventually(`${operation.method} ${path} is done`, async () => {
        const got = await exchange(operation, one, 'client', path, () => false);
        if (got?.status !== 200) return false;
        const { peers } = JSON.parse(got.text) as PeersView;
        return peers.some((peer) => peer.id === id) === adds;
      });
      assert.ok(!adds || cluster.pid(id) === pid);
    }
    await eventually('the removed server ends', () => !cluster.isRunning(id));
    for (const [other, known] of pids) assert.equal(cluster.pid(other), known, other);
  });
});

/** What schemas cannot tell: what is a cron expression, and which tasks and servers there are. */
const TIMES = { cron: '*/5 * * * *', tz: 'Europe/Berlin' };

/** A body that is right by its schema, right here too: with what is `there`, by name. */
function tame(body: unknown, there: Readonly<Record<string, unknown>>): unknown {
  if (typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) return body.map((item: unknown) => tame(item, there));
  const entries = Object.entries(body).map(([name, value]: [string, unknown]) => {
    if (name === 'forMs') return [name, Math.min(Number(value), FAULT_MS_MAX)];
    if (Object.hasOwn(there, name)) return [name, there[name]];
    return [name, name === 'task' || name === 'tasks' ? tame(value, there) : value];
  });
  return Object.fromEntries(entries);
}

function learn(made: Requests, operationId: string, { id }: { readonly id: string }): void {
  if (operationId === 'addSchedule') made.schedule = id;
  else made.ids.push(id);
}

/** Calls `next` again and again, so many at once, until it has no more. The first that fails ends all, when they are done. */
async function inLanes(lanes: number, next: () => Promise<void> | null): Promise<void> {
  let failed = false;
  const lane = async (): Promise<void> => {
    try {
      for (let one = next(); one !== null && !failed; one = next()) await one;
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}

/** How often each operation was answered with which status. */
class Tally {
  readonly #seen = new Map<string, Map<number, number>>();

  add(operation: string, status: number): void {
    const statuses = this.#seen.get(operation) ?? new Map<number, number>();
    this.#seen.set(operation, statuses.set(status, (statuses.get(status) ?? 0) + 1));
  }

  statuses(operation: string): readonly number[] {
    return [...(this.#seen.get(operation)?.keys() ?? [])];
  }

  lines(): readonly string[] {
    return [...this.#seen].map(
      ([operation, statuses]) =>
        `${operation}: ${[...statuses].map(([status, times]) => `${status}×${times}`).join(' ')}`,
    );
  }
}
