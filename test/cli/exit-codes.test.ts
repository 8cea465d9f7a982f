/** Exit codes as docs/cli.md states them: the table, and the commands as processes. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { TaskView } from '../../src/api/tasks.ts';
import { CliError, exitCodeOfError, exitCodeOfTask, explain } from '../../src/cli/exit-code.ts';
import { ClbError, NoServerError } from '../../src/sdk/errors.ts';
import { newTask } from '../sdk/fake-views.ts';
import { until } from '../sdk/harness.ts';
import { fakeApi, runAtOnce, runCli } from './cli.ts';

function ended(status: TaskView['status'], exitCode: number | null, signal: string | null): TaskView {
  const streams = { stdout: '', stderr: '', stdoutBytes: 0, stderrBytes: 0, truncated: false };
  return { ...newTask('id', { command: ['true'] }), status, result: { exitCode, signal, ...streams } };
}

describe('the exit code of a task', () => {
  it('is its own, 128+N of a signal, 124 timed out, 130 canceled, 125 where it never ran', () => {
    assert.equal(exitCodeOfTask(ended('succeeded', 0, null)), 0);
    assert.equal(exitCodeOfTask(ended('failed', 7, null)), 7);
    assert.equal(exitCodeOfTask(ended('failed', null, 'SIGKILL')), 137);
    assert.equal(exitCodeOfTask(ended('timed_out', null, 'SIGTERM')), 124);
    assert.equal(exitCodeOfTask(ended('canceled', null, 'SIGTERM')), 130);
    assert.equal(exitCodeOfTask(ended('failed', null, null)), 125);
    assert.equal(exitCodeOfTask({ ...ended('failed', null, null), result: null }), 125);
  });
});

describe('the exit code of a failure', () => {
  const silence = [{ server: 'a:1', code: 'UNAVAILABLE', said: 'nobody listens' }] as const;
  const cases: readonly (readonly [error: Error, plain: number, ofTask: number])[] = [
    [new Error('anything'), 1, 125],
    [new ClbError('CONFLICT', 'final'), 1, 125],
    [new ClbError('QUEUE_FULL', 'full'), 1, 125],
    [new ClbError('INVALID', 'priority'), 2, 2],
    [new ClbError('NOT_FOUND', 'no task'), 3, 125],
    [new ClbError('NO_LEADER', 'none'), 4, 125],
    [new NoServerError(silence, { outcomeUnknown: false }), 4, 125],
    [new NoServerError(silence, { outcomeUnknown: true }), 4, 125],
    [new CliError(130, 'detached'), 130, 130],
  ];
  it('is 1, 2, 3 or 4; 125 instead of 1, 3 and 4 where the code is otherwise the task’s', () => {
    for (const [error, plain, ofTask] of cases) {
      assert.equal(exitCodeOfError(error), plain, error.message);
      assert.equal(exitCodeOfError(error, true), ofTask, error.message);
    }
  });

  it('comes with what each server said and what to do next', () => {
    const [headline, hint] = explain(new NoServerError(silence, { outcomeUnknown: false }));
    assert.match(headline ?? '', /no server answers\n {2}a:1 {2}nobody listens/);
    assert.match(hint ?? '', /clb up/);
    const unknown = explain(new NoServerError(silence, { outcomeUnknown: true, idempotencyKey: 'k' }));
    assert.match(unknown.join('\n'), /--idempotency-key k/);
  });
});

describe('a command against a cluster in trouble', () => {
  it('exits with 4 where nobody answers; data goes to stdout only, messages to stderr only', async () => {
    const { code, stdout, stderr } = await runCli(['tasks'], { servers: ['127.0.0.1:1'] });
    assert.deepEqual([code, stdout], [4, '']);
    // Patience is for a cluster that was there.
    for (const [command, expected] of [
      ['logs', 4],
      ['wait', 125],
    ] as const) {
      const ended = await runCli([command, 'abcdef12'], { servers: ['127.0.0.1:1'] });
      assert.deepEqual([ended.code, ended.stdout], [expected, ''], command);
      assert.match(ended.stderr, /no server answers/);
    }
    assert.match(stderr, /^clb: no server answers\n {2}127\.0\.0\.1:1 {2}nobody listens/);
  });

  it('exits with 4 where there is no quorum, run with 125', async () => {
    const { cluster, clb } = await fakeApi();
    cluster.server(0).misbehave = () => ({ kind: 'error', code: 'NO_QUORUM' });
    const [submit, run] = await Promise.all([clb('submit', '--', 'true'), clb('run', '--', 'true')]);
    assert.deepEqual([submit.code, run.code], [4, 125]);
    assert.match(run.stderr, /no majority of the servers/);
  });

  it('shows what one server has, and says so, where only the quorum is missing', async () => {
    const { cluster, clb } = await fakeApi();
    cluster.server(0).misbehave = ({ query }) =>
      query.has('stale') ? null : { kind: 'error', code: 'NO_QUORUM' };
    const { code, stdout, stderr } = await clb('nodes', '-q');
    assert.deepEqual([code, stdout], [0, 'server1\n']);
    assert.match(stderr, /may be out of date/);
  });

  it('exits with 3 for an unknown id, wait with 125, an ambiguous one with 1', async () => {
    const { cluster, clb } = await fakeApi();
    for (const program of ['true', 'false']) cluster.submitted({ command: [program] });
    const [unknown, wait, ambiguous] = await Promise.all([
      clb('task', 'ffffffff'),
      clb('wait', 'ffffffff'),
      clb('task', 'aaaaaa'),
    ]);
    assert.deepEqual([unknown.code, wait.code, ambiguous.code], [3, 125, 1]);
    assert.match(ambiguous.stderr, /several ids/);
  });

  it('exits with 1 without the token and says how to give it', async () => {
    const { cluster, clb, start } = await fakeApi();
    cluster.token = 'secret';
    const [without, flag, env] = await Promise.all([
      clb('nodes'),
      clb('nodes', '--token', 'secret'),
      start(['nodes'], { env: { CLB_TOKEN: 'secret' } }).ended,
    ]);
    assert.deepEqual([without.code, flag.code, env.code], [1, 0, 0]);
    assert.match(without.stderr, /CLB_TOKEN/);
  });
});

describe('a command that waits', () => {
  it("exits with the task's own code", async () => {
    const { cluster, clb } = await fakeApi();
    runAtOnce(cluster, (id) => cluster.finish(id, 'failed', { exitCode: 7, reason: 'as told' }));
    const [run, wait] = await Promise.all([clb('run', '--', 'true'), clb('submit', '--wait', '--', 'true')]);
    assert.deepEqual([run.code, wait.code], [7, 7]);
    assert.match(run.stderr, /failed \(exit code 7\): as told/);
    assert.match(wait.stdout, /^aaaaaaa\d-.*\n$/);
  });

  it('for several exits with the first in the order given that is not 0', async () => {
    const { cluster, clb } = await fakeApi();
    for (const name of ['0', '9', '3']) cluster.submitted({ name, command: ['true'] });
    for (const { id, name } of cluster.tasks()) {
      cluster.finish(id, name === '0' ? 'succeeded' : 'failed', { exitCode: Number(name) });
    }
    const [ok = '', nine = '', three = ''] = cluster.tasks().map(({ id }) => id);
    const [first, second] = await Promise.all([
      clb('wait', ok, three, nine),
      clb('wait', '-o', 'json', nine, ok),
    ]);
    assert.deepEqual([first.code, second.code], [3, 9]);
    assert.deepEqual(
      (JSON.parse(second.stdout) as { id: string }[]).map(({ id }) => id),
      [nine, ok],
    );
  });

  it('exits with 130 on Ctrl-C, says how to come back and leaves the task alone', async () => {
    const { cluster, start } = await fakeApi();
    const running = [start(['run', '--', 'true']), start(['submit', '--wait', '--', 'true'])];
    const waiting = (): number => cluster.server(0).requests.filter(({ query }) => query.has('wait')).length;
    await until('both wait', () => waiting() >= 2, 25_000);
    for (const cli of running) cli.kill('SIGINT');
    for (const { code, signal, stderr } of await Promise.all(running.map((cli) => cli.ended))) {
      assert.deepEqual([code, signal], [130, null], stderr);
      assert.match(stderr, /detached.*clb wait aaaaaaa\d/);
    }
    assert.ok(cluster.tasks().every(({ status }) => status === 'queued'));
  });
});
