/**
 * Goal: a master that can't commit, because both followers are frozen, says so and accepts nothing; what it had taken in by then may
 * be committed when they are back, and whoever repeats a request under its key has one task. (How much it keeps meanwhile:
 * test/raft/node/back-pressure.test.ts, test/scheduler/back-pressure.test.ts.)
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ErrorBody } from '../../src/api/errors.ts';
import type { TaskView } from '../../src/api/tasks.ts';
import { Load } from './load.ts';
import { eventually, ProcessCluster } from './processes.ts';

const FLOOD = 60;

describe('a master with both followers frozen', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  let load: Load;
  before(async () => {
    cluster = await ProcessCluster.start({ only: ['server1', 'server2', 'server3', 'worker1'] });
    load = new Load(cluster);
  });
  after(async () => {
    load.stop();
    await cluster.destroy();
  });

  it('accepts nothing, says when to try again, and goes on when they are back', async () => {
    load.start();
    await load.accepts(5);
    const master = await cluster.master();
    const followers = cluster.serverIds.filter((id) => id !== master);
    for (const id of followers) await cluster.signal(id, 'SIGSTOP');

    const body = { command: ['true'], stdin: 'x'.repeat(10_000) };
    const submit = (n: number) =>
      cluster.request<TaskView & ErrorBody>(master, 'POST', '/v1/tasks', body, {
        'idempotency-key': `flood-${n}`,
      });
    const flood = Promise.all(Array.from({ length: FLOOD }, (_, n) => submit(n)));
    const codes = new Map<string, number>();
    for (const { status, headers, body: said } of await flood) {
      const code = status < 300 ? 'accepted' : said.error.code;
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (status === 503 || status === 429)
        assert.ok(headers.get('retry-after'), `${code} without Retry-After`);
    }
    console.log(`  asked ${FLOOD} times: ${JSON.stringify(Object.fromEntries(codes))}`);
    assert.equal(codes.get('accepted') ?? 0, 0, 'nothing can be committed');
    const unexpected = [...codes.keys()].filter(
      (code) => !['NO_QUORUM', 'NO_LEADER', 'UNKNOWN_OUTCOME', 'QUEUE_FULL', 'UNAVAILABLE'].includes(code),
    );
    assert.deepEqual(unexpected, []);
    await eventually('the lead is given up', async () => (await cluster.raft(master)).role !== 'leader');

    for (const id of followers) await cluster.signal(id, 'SIGCONT');
    await load.accepts(10);
    const ids = new Set<string>();
    for (let n = 0; n < FLOOD; n += 1) {
      const { id } = await eventually(`flood ${n}`, async () => {
        const answer = await submit(n);
        return answer.status < 300 ? answer.body : null;
      });
      ids.add(id);
    }
    assert.equal(ids.size, FLOOD);
    await load.finish(FLOOD);
  });
});
