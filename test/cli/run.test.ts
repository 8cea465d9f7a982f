/** submit and run as processes: what is accepted, and the task's streams as if it ran here. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { TaskView } from '../../src/api/tasks.ts';
import { until } from '../sdk/harness.ts';
import { fakeApi, runAtOnce, tempFolder } from './cli.ts';

describe('submit', () => {
  it('prints the id and nothing else on stdout; with -o json the task', async () => {
    const { cluster, clb, start } = await fakeApi();
    const script = join(tempFolder(), 'job.py');
    writeFileSync(script, 'print(1)\n');
    const plain = await clb('submit', '-f', script, '--label', 'a=b', '--timeout', '1m');
    const [task] = cluster.tasks();
    assert.equal(plain.stdout, `${task?.id ?? ''}\n`);
    assert.match(plain.stderr, /clb logs -f aaaaaaa1/);
    assert.deepEqual([task?.script, task?.labels, task?.timeoutMs], ['print(1)\n', { a: 'b' }, 60_000]);
    const [json, stdin] = await Promise.all([
      clb('submit', '-o', 'json', '--after', 'aaaaaaa1', '--', 'true'),
      start(['-q', 'submit', '-f', '-', '--interpreter', 'sh'], { stdin: 'echo ü' }).ended,
    ]);
    assert.deepEqual((JSON.parse(json.stdout) as TaskView).after, [task?.id]);
    assert.deepEqual([stdin.code, stdin.stderr], [0, '']);
    assert.equal(cluster.task(stdin.stdout.trim()).script, 'echo ü');
  });

  it('says how to send a file that was given as a command', async () => {
    const { clb } = await fakeApi();
    const script = join(tempFolder(), 'job.py');
    writeFileSync(script, 'print(1)\n');
    const { code, stderr } = await clb('submit', script);
    assert.equal(code, 0);
    assert.ok(
      stderr.startsWith(`clb: ${script} is a file here, and nodes don't have it: -f ${script} sends it`),
      stderr,
    );
  });

  it('with the same key twice makes one task', async () => {
    const { cluster, clb } = await fakeApi();
    const args = ['submit', '-q', '--idempotency-key', 'k', '--', 'true'];
    const [first, second] = [await clb(...args), await clb(...args)];
    assert.equal(first.stdout, second.stdout);
    assert.equal(cluster.tasks().length, 1);
  });
});

describe('run', () => {
  it("streams the task's stdout and stderr to ours, byte for byte, and passes stdin on", async () => {
    const { cluster, start } = await fakeApi();
    const running = start(['run', '--stdin', '--', 'cat'], { stdin: 'in\n' });
    await until('it is accepted', () => cluster.tasks().length === 1, 25_000);
    const [{ id, stdin } = { id: '', stdin: null }] = cluster.tasks();
    assert.equal(stdin, 'in\n');
    cluster.startTask(id);
    cluster.write(id, 'stdout', 'one\n');
    await until('it came while the task runs', () => running.stdout === 'one\n', 25_000);
    cluster.write(id, 'stderr', 'oops\n');
    cluster.write(id, 'stdout', 'two');
    cluster.finish(id);
    const { code, stdout, stderr } = await running.ended;
    assert.deepEqual([code, stdout], [0, 'one\ntwo']);
    assert.match(stderr, /oops\n/);
  });

  it('goes on across a dead server and another attempt, and says that output starts anew', async () => {
    const { cluster, start } = await fakeApi(2);
    const running = start(['run', '--', 'true']);
    await until('it is accepted', () => cluster.tasks().length === 1, 25_000);
    const [{ id } = { id: '' }] = cluster.tasks();
    cluster.startTask(id);
    cluster.write(id, 'stdout', 'first ');
    await until('the beginning came', () => running.stdout === 'first ', 25_000);
    await cluster.server(0).kill();
    cluster.write(id, 'stdout', 'more ');
    await until('the rest came', () => running.stdout === 'first more ', 25_000);
    cluster.loseAttempt(id, 'worker1 was lost');
    cluster.startTask(id, 'worker2');
    cluster.write(id, 'stdout', 'second');
    cluster.finish(id, 'failed', { exitCode: 3 });
    const { code, stdout, stderr } = await running.ended;
    assert.deepEqual([code, stdout], [3, 'first more second']);
    assert.match(stderr, /attempt 2/);
  });

  it('takes from the result what could not be followed', async () => {
    const { cluster, clb } = await fakeApi();
    runAtOnce(cluster);
    cluster.server(0).misbehave = ({ path }) =>
      path.endsWith('/logs') ? { kind: 'error', code: 'NOT_FOUND' } : null;
    const { code, stdout } = await clb('run', '--', 'true');
    assert.deepEqual([code, stdout], [0, 'hello\n']);
  });

  it('with -o json prints the final task in place of its output', async () => {
    const { cluster, clb } = await fakeApi();
    runAtOnce(cluster);
    const { stdout } = await clb('run', '-o', 'json', '--', 'true');
    assert.equal((JSON.parse(stdout) as TaskView).result?.stdout, 'hello\n');
  });
});
