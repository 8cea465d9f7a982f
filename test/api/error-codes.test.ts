/**
 * Goal: every error code of the API can be met, with the status, headers and form the description gives it. Method: one row
 * for each code, which says what it is provoked by; real processes but for INTERNAL, which nothing from outside may bring
 * about. A code without a row fails.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { ERROR_STATUS } from '../../src/api/errors.ts';
import type { ErrorBody, ErrorCode } from '../../src/api/errors.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { eventually, ProcessCluster } from '../cluster/processes.ts';
import { ask, closeAll, startServer } from '../web/nodes.ts';
import type { Asked, TestAnswer } from '../web/nodes.ts';

const QUEUE_LIMIT = 5;
const TASK = { command: ['true'] };

describe('every error code', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start({ extraArgs: { server: ['--queue-limit', String(QUEUE_LIMIT)] } });
  });
  after(async () => {
    await closeAll();
    await cluster.destroy();
  });

  const of = (id: string, path: string, asked: Asked = {}): Promise<TestAnswer> =>
    ask(`127.0.0.1:${cluster.node(id).port}`, path, asked);
  const submit = (id: string, asked: Asked = {}): Promise<TestAnswer> =>
    of(id, '/v1/tasks', { body: TASK, ...asked });
  const others = async (): Promise<readonly string[]> => {
    const master = await cluster.master();
    return cluster.serverIds.filter((id) => id !== master);
  };
  const stop = async (id: string, stopped: boolean): Promise<void> => {
    assert.equal((await of(id, '/stop', { body: { stopped } })).status, 200);
  };
  /** Does `then` while the nodes are as `change` makes them, and waits until all is well again. */
  async function during<T>(
    ids: readonly string[],
    change: (id: string, on: boolean) => Promise<void>,
    then: () => Promise<T>,
  ): Promise<T> {
    try {
      for (const id of ids) await change(id, true);
      return await then();
    } finally {
      for (const id of ids) await change(id, false);
      await cluster.whenReady();
    }
  }
  const freeze = (id: string, on: boolean): Promise<void> => cluster.signal(id, on ? 'SIGSTOP' : 'SIGCONT');
  const kill = async (id: string, on: boolean): Promise<void> => {
    if (on) await cluster.signal(id, 'SIGKILL');
    else cluster.startNode(id);
  };

  const ROWS: readonly (readonly [code: ErrorCode, by: string, provoke: () => Promise<TestAnswer>])[] = [
    ['INVALID', 'a field out of its range', () => submit('client', { body: { ...TASK, priority: 101 } })],
    [
      'UNAUTHORIZED',
      'no token where one is needed',
      async () => {
        const closed = await ProcessCluster.prepare({ only: ['client'], env: { CLB_TOKEN: 'sesame' } });
        try {
          closed.startNode('client');
          const address = `127.0.0.1:${closed.node('client').port}`;
          return await eventually('it answers', () => ask(address, '/v1/tasks'));
        } finally {
          await closed.destroy();
        }
      },
    ],
    ['FORBIDDEN', 'a foreign Host', () => submit('server1', { headers: { host: 'evil.example' } })],
    ['NOT_FOUND', 'a task that is not there', () => of('server2', '/v1/tasks/nothing')],
    [
      'CONFLICT',
      'other content under a known key',
      async () => {
        const headers = { 'idempotency-key': 'one' };
        assert.equal((await submit('client', { headers })).status, 201);
        return submit('server3', { headers, body: { command: ['false'] } });
      },
    ],
    [
      'TOO_LARGE',
      'a body beyond the limit',
      () => submit('client', { body: { script: 'x'.repeat(LIMITS.taskBytesMax) } }),
    ],
    [
      'STOPPED',
      'a node that simulates a crash',
      () => during(['server1'], stop, () => of('server1', '/v1/nodes')),
    ],
    [
      'QUEUE_FULL',
      'a batch beyond --queue-limit',
      () => of('client', '/v1/tasks/batch', { body: { tasks: Array(QUEUE_LIMIT + 1).fill(TASK) } }),
    ],
    [
      'INTERNAL',
      'a fault of ours',
      async () => {
        const { address, cluster: fake } = await startServer();
        fake.nodes = () => {
          throw new TypeError('nobody is to see this');
        };
        return ask(address, '/v1/nodes');
      },
    ],
    [
      'NO_LEADER',
      'a follower that another server takes for the master',
      async () => {
        const [follower = ''] = await others();
        return submit(follower, { headers: { 'x-clb-forwarded-by': 'server9' } });
      },
    ],
    [
      'NO_QUORUM',
      'a server whose two peers are stopped',
      async () => {
        const master = await cluster.master();
        // What it took in before it noticed is of unknown outcome (below).
        return during(await others(), stop, () =>
          eventually('it knows', async () => {
            const answer = await submit(master);
            return answer.status === 504 ? null : answer;
          }),
        );
      },
    ],
    [
      'UNAVAILABLE',
      'a node that does not answer',
      () =>
        during(['worker1'], kill, () => of('server1', '/v1/nodes/worker1/stop', { body: { stopped: true } })),
    ],
    [
      'UNKNOWN_OUTCOME',
      'a master whose peers fall silent before they have confirmed',
      async () => {
        const master = await cluster.master();
        return during(await others(), freeze, () => submit(master));
      },
    ],
  ];

  it('has a row here, and stands in the docs', () => {
    const codes = Object.keys(ERROR_STATUS);
    assert.deepEqual(ROWS.map(([code]) => code as string).toSorted(), codes.toSorted());
    const docs = readFileSync('docs/http-api.md', 'utf8');
    assert.deepEqual(
      codes.filter((code) => !docs.includes(`\`${code}\``)),
      [],
    );
  });

  for (const [code, by, provoke] of ROWS) {
    it(`${ERROR_STATUS[code]} ${code}: ${by}`, async () => {
      const answer = await provoke();
      assert.deepEqual([answer.status, answer.json.error.code], [ERROR_STATUS[code], code], answer.text);
      const { error } = JSON.parse(answer.text) as ErrorBody;
      assert.ok(error.message.length > 10, 'it says why');
      assert.doesNotMatch(error.message, /nobody is to see this| at .*\.ts/);
      for (const name of ['x-clb-node', 'x-clb-leader', 'x-clb-index'])
        assert.notEqual(answer.headers[name], undefined, name);
      const asksBack = answer.status === 429 || answer.status === 503;
      assert.equal(answer.headers['retry-after'] !== undefined, asksBack, 'Retry-After');
      if (asksBack) assert.match(String(answer.headers['retry-after']), /^[1-9]\d*$/);
      assert.equal(answer.headers['www-authenticate'] !== undefined, answer.status === 401);
    });
  }

  it('was provoked in a cluster that is well afterwards', async () => {
    await cluster.whenReady();
    assert.equal((await submit('client')).status, 201);
  });
});
