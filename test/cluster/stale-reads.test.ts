/**
 * Goal: a server that led and does not any more, and does not know it yet or can't, shows nobody old data: every read that does not
 * say `stale=true` is answered by the master that is, or refused. Real processes; the old master is frozen (what was asked of it
 * meanwhile is there at once when it wakes up), and in one of the tests cut off as well. The table has every GET route of a server.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ErrorBody } from '../../src/api/errors.ts';
import type { ScheduleView } from '../../src/api/schedules.ts';
import type { TaskFilesView } from '../../src/api/task-files.ts';
import type { TaskEvent, TaskPage, TaskView } from '../../src/api/tasks.ts';
import type { NodeView, QueueView } from '../../src/api/views.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { createServerApp } from '../../src/web/server-app.ts';
import { FakeLines, FakeLog, guardWith } from '../web/nodes.ts';
import { eventually, ProcessCluster } from './processes.ts';

/** What was changed while the old master could not hear of it. */
interface Changed {
  /** Ran before, and was canceled. */
  readonly old: string;
  /** Submitted, and finished. */
  readonly fresh: string;
  readonly schedule: string;
}

/** Every field that a body may have here; which ones it does have is for the rows to know. */
interface Shown {
  readonly tasks: TaskPage['tasks'];
  readonly status: TaskView['status'];
  readonly events: readonly TaskEvent[];
  readonly files: TaskFilesView['files'];
  readonly nodes: readonly NodeView[];
  readonly paused: QueueView['paused'];
  readonly schedules: readonly ScheduleView[];
  readonly error: ErrorBody['error'];
}

interface Row {
  readonly route: string;
  readonly path: (changed: Changed) => string;
  /** Whether a 200 shows the change. */
  readonly isFresh: (answer: Answer, changed: Changed) => boolean;
  /** Only the master serves it, whatever the caller says. */
  readonly neverStale?: true;
}

const TABLE: readonly Row[] = [
  {
    route: '/v1/tasks',
    path: () => '/v1/tasks?limit=100',
    isFresh: ({ body: { tasks } }, { fresh }) => tasks.some(({ id }) => id === fresh),
  },
  {
    route: '/v1/tasks/:id',
    path: ({ old }) => `/v1/tasks/${old}`,
    isFresh: ({ body }) => body.status === 'canceled',
  },
  {
    route: '/v1/tasks/:id',
    path: ({ old }) => `/v1/tasks/${old}?wait=3s`,
    isFresh: ({ body }) => body.status === 'canceled',
  },
  {
    route: '/v1/tasks/:id',
    path: ({ fresh }) => `/v1/tasks/${fresh}`,
    isFresh: ({ body }) => body.status === 'succeeded',
  },
  {
    route: '/v1/tasks/:id/events',
    path: ({ old }) => `/v1/tasks/${old}/events`,
    isFresh: ({ body: { events } }) => events.some(({ what }) => what === 'canceled'),
  },
  {
    route: '/v1/tasks/:id/logs',
    path: ({ fresh }) => `/v1/tasks/${fresh}/logs`,
    isFresh: ({ text }) => text === 'printed\n',
    neverStale: true,
  },
  {
    route: '/v1/tasks/:id/files',
    path: ({ fresh }) => `/v1/tasks/${fresh}/files`,
    isFresh: ({ body: { files } }) => files.length === 1,
  },
  {
    route: '/v1/tasks/:id/files/*path',
    path: ({ fresh }) => `/v1/tasks/${fresh}/files/kept`,
    isFresh: ({ text }) => text === 'written\n',
    neverStale: true,
  },
  {
    route: '/v1/nodes',
    path: () => '/v1/nodes',
    isFresh: ({ body: { nodes } }) =>
      nodes.some(({ id, status }) => id === 'worker1' && status === 'draining'),
  },
  {
    route: '/v1/queue',
    path: () => '/v1/queue',
    isFresh: ({ body: { paused } }) => paused,
  },
  {
    route: '/v1/schedules',
    path: () => '/v1/schedules',
    isFresh: ({ body: { schedules } }, { schedule }) => schedules.some(({ id }) => id === schedule),
  },
];

/** What these say is said of the node itself (docs/http-api.md, "Who answers"). */
const OF_THE_NODE: readonly string[] = [
  ...['/', '/healthz', '/logging', '/logging/stream', '/metrics', '/readyz'],
  ...['/v1/audit', '/v1/docs', '/v1/events', '/v1/openapi.json'],
  ...['/v1/raft', '/v1/raft/log', '/v1/raft/peers', '/v1/state'],
];

interface Answer {
  readonly status: number;
  readonly text: string;
  /** The text as JSON. */
  readonly body: Shown;
}

/** Resolves when the request is on its way, with the promise of its answer. */
async function begin(url: string): Promise<{ readonly answer: Promise<Answer> }> {
  const asked = request(url, { agent: false });
  const answer = new Promise<Answer>((resolve, reject) => {
    asked.on('error', reject).on('response', (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        const isJson = response.headers['content-type']?.includes('json') === true;
        const body = (isJson ? JSON.parse(text) : {}) as Shown;
        resolve({ status: response.statusCode ?? 0, text, body });
      });
    });
  });
  // Looked at later.
  answer.catch(() => undefined);
  const sent = once(asked, 'finish');
  asked.end();
  await sent;
  return { answer };
}

describe('reads at a server that was the master', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start({
      only: ['server1', 'server2', 'server3', 'worker1'],
      extraArgs: { server: ['--slots', '0'] },
    });
  });
  after(async () => cluster.destroy());
  /** The server that is away, and what has to be put right again. */
  const away: { id: string | null } = { id: null };
  afterEach(async () => {
    if (away.id === null) return;
    await cluster.signal(away.id, 'SIGCONT');
    await post(away.id, '/faults', { fault: 'cut-off', forMs: 0 });
    away.id = null;
    const master = await cluster.master();
    await post(master, '/v1/queue', { paused: false });
    await post(master, '/v1/nodes/worker1/drain', { drain: false });
    await cluster.whenReady();
  });

  async function post<T>(id: string, path: string, body: unknown, headers = {}): Promise<T> {
    return eventually(`POST ${path}`, async () => {
      const answer = await cluster.request<T>(id, 'POST', path, body, headers);
      return answer.status < 300 ? answer.body : null;
    });
  }

  /** Elects another master by what `away` does to this one, and changes everything that can be read. */
  async function changeWithout(
    takeAway: (master: string) => Promise<void>,
  ): Promise<readonly [string, Changed]> {
    const old = await post<TaskView>('server1', '/v1/tasks', { command: ['sleep', '600'] });
    await eventually(
      'it runs',
      async () => (await cluster.get<TaskView>('server1', `/v1/tasks/${old.id}`)).status === 'running',
    );
    const master = await cluster.master();
    const others = cluster.serverIds.filter((id) => id !== master);
    await eventually('all servers have it', async () => {
      const [own, ...rest] = await Promise.all([master, ...others].map((id) => cluster.raft(id)));
      return rest.every(({ appliedIndex }) => appliedIndex >= own!.appliedIndex);
    });
    away.id = master;
    await takeAway(master);
    const next = await eventually('another master', async () => {
      for (const id of others) if ((await cluster.raft(id)).role === 'leader') return id;
      return null;
    });
    await post(next, `/v1/tasks/${old.id}/cancel`, {});
    const fresh = await post<TaskView>(
      next,
      '/v1/tasks',
      { command: ['sh', '-c', 'echo printed; echo written > kept'], collect: ['kept'] },
      { 'idempotency-key': `fresh without ${master} ${old.id}` },
    );
    await eventually(
      'the fresh one is done',
      async () => (await cluster.get<TaskView>(next, `/v1/tasks/${fresh.id}`)).status === 'succeeded',
    );
    const schedule = { cron: '0 0 1 1 *', task: { command: ['true'] } };
    const { id } = await post<ScheduleView>(next, '/v1/schedules', schedule);
    await post(next, '/v1/nodes/worker1/drain', { drain: true });
    await post(next, '/v1/queue', { paused: true });
    return [master, { old: old.id, fresh: fresh.id, schedule: id }];
  }

  /** Fresh, or refused. */
  function check(answer: Answer, { route, isFresh }: Row, changed: Changed): 'answered' | 'refused' {
    const { status, text, body } = answer;
    if (status === 200) {
      assert.ok(isFresh(answer, changed), `${route} answers old data: ${text}`);
      return 'answered';
    }
    assert.equal(status, 503, `${route} answers ${status}: ${text}`);
    assert.match(body.error.code, /^NO_(LEADER|QUORUM)$/, route);
    return 'refused';
  }

  async function checkAllFresh(id: string, changed: Changed): Promise<void> {
    for (const one of TABLE) {
      await eventually(`${one.route} is fresh again`, async () => {
        const { answer } = await begin(cluster.url(id, one.path(changed)));
        return check(await answer, one, changed) === 'answered';
      });
    }
  }

  it('the table has every route', () => {
    const app = createServerApp({
      ...{ nodeId: 'server1', version: '0.0.0', guard: guardWith(), token: null, lines: new FakeLines() },
      ...{ stop: null, stopNode: null, log: new FakeLog(), cluster: () => null },
      metrics: new NodeMetrics({ id: 'server1', version: '0.0.0' }),
    });
    const mounted = app.routes.filter(({ method }) => method === 'get').map(({ path }) => path);
    app.close();
    const known = new Set([...OF_THE_NODE, ...TABLE.map(({ route }) => route)]);
    assert.deepEqual([...new Set(mounted)].sort(), [...known].sort());
  });

  /** Asks everything of a frozen server, so that it finds all of it at once when it wakes up, and wakes it. */
  async function wakeWithQuestions(frozen: string, changed: Changed): Promise<readonly string[]> {
    const asked: { readonly one: Row; readonly answer: Promise<Answer> }[] = [];
    for (const one of TABLE) {
      const { answer } = await begin(cluster.url(frozen, one.path(changed)));
      asked.push({ one, answer });
    }
    await cluster.signal(frozen, 'SIGCONT');
    const outcomes: string[] = [];
    for (const { one, answer } of asked) outcomes.push(check(await answer, one, changed));
    return outcomes;
  }

  it('that wakes up from a freeze answers from the new master or refuses, whatever it is asked first', async () => {
    const [frozen, changed] = await changeWithout((master) => cluster.signal(master, 'SIGSTOP'));
    const outcomes = await wakeWithQuestions(frozen, changed);
    console.log(`  asked of a frozen master: ${outcomes.join(', ')}`);
    await checkAllFresh(frozen, changed);
  });

  it('that wakes up cut off, and leads still for all it knows, refuses; where the caller says stale it answers what it has', async () => {
    const fault = { fault: 'cut-off', forMs: LIMITS.faultMsMax };
    let cutAtMs = 0;
    const [cutOff, changed] = await changeWithout(async (master) => {
      cutAtMs = performance.now();
      assert.equal((await cluster.request(master, 'POST', '/faults', fault)).status, 200);
      // Before it has missed anything.
      await cluster.signal(master, 'SIGSTOP');
    });
    const outcomes = await wakeWithQuestions(cutOff, changed);
    console.log(`  asked of a frozen master that was cut off: ${outcomes.join(', ')}`);
    await post(cutOff, '/faults', fault);
    // No fault lasts longer: on a very slow machine it may have been joined to the others for a moment.
    const hasHeardNothing = performance.now() - cutAtMs < LIMITS.faultMsMax;
    if (hasHeardNothing) assert.deepEqual([...new Set(outcomes)], ['refused']);
    for (const one of TABLE) {
      const path = one.path(changed);
      const { answer } = await begin(cluster.url(cutOff, path));
      assert.equal(check(await answer, one, changed), 'refused', one.route);
      if (one.neverStale === true) continue;
      const stale = await begin(cluster.url(cutOff, `${path}${path.includes('?') ? '&' : '?'}stale=true`));
      const shown = await stale.answer;
      // A task that it has never heard of it does not have.
      assert.ok(
        shown.status === 200 || (shown.status === 404 && path.includes(changed.fresh)),
        `${path}: ${shown.status} ${shown.text}`,
      );
      if (shown.status === 200 && hasHeardNothing)
        assert.ok(!one.isFresh(shown, changed), `${path} can't be known there`);
    }
    await post(cutOff, '/faults', { fault: 'cut-off', forMs: 0 });
    await checkAllFresh(cutOff, changed);
  });
});
