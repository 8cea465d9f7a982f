/**
 * Goal: what `clb server --queue-limit`, `--keep-for` and `--keep-tasks` say is what happens, on real processes: beyond the
 * limit 429 that names it, until there is room again; finished tasks beyond what is kept are gone, and asking for one says
 * why, on every server and after a restart.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ErrorBody } from '../../src/api/errors.ts';
import type { TaskPage, TaskView } from '../../src/api/tasks.ts';
import { eventually, ProcessCluster } from '../cluster/processes.ts';
import type { HttpAnswer } from '../cluster/processes.ts';

const TASK = { command: ['true'] };
/** Runs until it is canceled. */
const WAITING = { command: ['sleep', '3600'] };
const ASKED = ['client', 'server1', 'server2', 'server3'];

function startWith(...flags: readonly string[]): Promise<ProcessCluster> {
  return ProcessCluster.start({ extraArgs: { server: flags } });
}

describe('clb server --queue-limit', { timeout: 300_000 }, () => {
  const LIMIT = 4;
  let cluster: ProcessCluster;
  before(async () => (cluster = await startWith('--queue-limit', String(LIMIT))));
  after(async () => cluster.destroy());

  function refused(answer: HttpAnswer<unknown>, at: string): void {
    assert.equal(answer.status, 429, at);
    const { error } = answer.body as ErrorBody;
    assert.deepEqual(error, {
      code: 'QUEUE_FULL',
      message: `${LIMIT} tasks are not done yet, the limit is ${LIMIT}`,
    });
    assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  }

  it('refuses what is beyond it, alone and in batches, by name and with Retry-After', async () => {
    const tasks = Array<typeof WAITING>(LIMIT).fill(WAITING);
    assert.equal((await cluster.request('client', 'POST', '/v1/tasks/batch', { tasks })).status, 200);
    for (const id of ASKED) {
      refused(await cluster.request(id, 'POST', '/v1/tasks', TASK), `one, of ${id}`);
      refused(await cluster.request(id, 'POST', '/v1/tasks/batch', { tasks: [TASK] }), `a batch, of ${id}`);
    }
  });

  it('is that of the next master too', async () => {
    await cluster.signal(await cluster.master(), 'SIGKILL');
    const [id = ''] = cluster.serverIds.filter((server) => cluster.isRunning(server));
    await eventually('another one leads', async () => {
      const answer = await cluster.request(id, 'POST', '/v1/tasks', TASK);
      if (answer.status === 503 || answer.status === 504) return false;
      refused(answer, 'after a change of master');
      return true;
    });
    for (const server of cluster.serverIds) if (!cluster.isRunning(server)) cluster.startNode(server);
    await cluster.whenReady();
  });

  it('takes as many again as have ended', async () => {
    const { tasks } = await cluster.getAny<TaskPage>('/v1/tasks');
    const [first] = tasks;
    assert.equal(tasks.length, LIMIT);
    assert.equal((await cluster.request('client', 'POST', `/v1/tasks/${first?.id}/cancel`)).status, 200);
    await eventually(
      'there is room for one',
      async () => (await cluster.request('client', 'POST', '/v1/tasks', WAITING)).status === 201,
    );
    refused(await cluster.request('client', 'POST', '/v1/tasks', TASK), 'and not for two');
  });
});

for (const { flags, kept } of [
  { flags: ['--keep-tasks', '2'], kept: 2 },
  { flags: ['--keep-for', '2s'], kept: 0 },
]) {
  describe(`clb server ${flags.join(' ')}`, { timeout: 300_000 }, () => {
    const SENT = 6;
    let cluster: ProcessCluster;
    let gone: string;
    before(async () => (cluster = await startWith(...flags)));
    after(async () => cluster.destroy());

    it(`keeps ${kept} of ${SENT} finished tasks, and a waiting one`, async () => {
      const later = { ...TASK, delayMs: 3_600_000 };
      const waiting = await cluster.request<TaskView>('client', 'POST', '/v1/tasks', later);
      const ids: string[] = [];
      for (let n = 0; n < SENT; n += 1) {
        const { status, body } = await cluster.request<TaskView>('client', 'POST', '/v1/tasks', TASK);
        assert.equal(status, 201);
        ids.push(body.id);
      }
      const page = await eventually('the others are gone', async () => {
        const now = await cluster.getAny<TaskPage>('/v1/tasks');
        const { scheduled, queued, assigned, running, succeeded } = now.counts;
        return scheduled === 1 && queued + assigned + running === 0 && succeeded === kept ? now : null;
      });
      assert.deepEqual(
        page.tasks.map(({ id }) => id).filter((id) => id !== waiting.body.id).length,
        kept,
        'the list is as the counts',
      );
      const left = ids.filter((id) => page.tasks.some((task) => task.id === id));
      assert.equal(left.length, kept);
      gone = ids.find((id) => !left.includes(id)) ?? '';
      for (const id of left)
        assert.equal((await cluster.request('server1', 'GET', `/v1/tasks/${id}`)).status, 200);
    });

    const asksForGone = async (): Promise<void> => {
      for (const id of ASKED) {
        for (const [method, path] of [
          ['GET', ''],
          ['GET', '/logs'],
          ['GET', '/events'],
          ['GET', '/files'],
          ['POST', '/retry'],
          ['POST', '/cancel'],
        ] as const) {
          const at = `${method} ${path} of ${id}`;
          const { status, body } = await cluster.request<ErrorBody>(id, method, `/v1/tasks/${gone}${path}`);
          assert.deepEqual([status, body.error.code], [404, 'NOT_FOUND'], at);
          assert.match(
            body.error.message,
            new RegExp(`there is no task ${gone}: .*--keep-for or --keep-tasks`),
            at,
          );
        }
      }
    };

    it('says of one that is gone that it may have been removed, wherever it is asked', asksForGone);

    it('and still says so when all have been killed and started again', async () => {
      for (const id of cluster.serverIds) await cluster.killWithLauncher(id);
      for (const id of cluster.serverIds) cluster.startNode(id);
      await cluster.whenReady();
      await asksForGone();
      const { counts } = await cluster.getAny<TaskPage>('/v1/tasks');
      assert.deepEqual([counts.succeeded, counts.scheduled], [kept, 1]);
    });
  });
}
