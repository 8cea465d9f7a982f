// Real processes: how attempts end, by themselves and by force, and that nothing of them is left.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Harness, isRunning, leftovers, poll } from './harness.ts';

describe('the end of an attempt', () => {
  let harness: Harness;
  before(async () => {
    harness = new Harness();
    await harness.start();
  });
  after(() => harness.stop());

  it('goes on when the program closes its output', async () => {
    const { outcome, result } = await harness.run({
      command: ['sh', '-c', 'echo before; exec >&- 2>&-; sleep 0.1; exit 4'],
    });
    assert.equal(outcome, 'failed');
    assert.equal(result.exitCode, 4);
    assert.equal(result.stdout, 'before\n');
  });

  it('ends children that outlive the main process, though they hold its output open', async () => {
    const { outcome, result } = await harness.run({
      command: ['sh', '-c', 'sleep 1000 & echo done; exit 0'],
    });
    assert.equal(outcome, 'succeeded');
    assert.equal(result.stdout, 'done\n');
  });

  it('ends children that left the session by setsid, and by a double fork', async () => {
    const script = [
      'import os, time',
      'if os.fork() == 0:',
      '    os.setsid()',
      '    if os.fork() == 0:',
      '        os.closerange(0, 3)',
      '        time.sleep(1000)',
      '    os._exit(0)',
      'os.wait()',
      'print("parent ends")',
    ].join('\n');
    const { outcome, result } = await harness.run({ script });
    assert.equal(outcome, 'succeeded');
    assert.equal(result.stdout, 'parent ends\n');
    const shell = await harness.run({
      command: ['sh', '-c', 'setsid sleep 1000 > /dev/null 2>&1 & echo ok'],
    });
    assert.equal(shell.result.stdout, 'ok\n');
  });

  it('ends children in other process groups of the session that wiped their environment', async () => {
    const script = 'env -i sh -c "sleep 1000 & sleep 1000" & echo $!; set -m; env -i sleep 999 & echo $!';
    const { result } = await harness.run({ command: ['bash', '-c', script] });
    const pids = result.stdout.trim().split('\n').map(Number);
    assert.equal(pids.length, 2);
    for (const pid of pids) assert.equal(isRunning(pid), false);
  });

  it('times out with SIGTERM first, which the program may use', async () => {
    const script = 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
    const { outcome, reason, result } = await harness.run({
      command: ['sh', '-c', script],
      timeoutMs: 1_500,
    });
    assert.equal(outcome, 'timed_out');
    assert.equal(reason, 'ran longer than its timeout of 1500 ms');
    assert.equal(result.exitCode, 3);
    assert.equal(result.stdout, 'ready\nbye\n');
  });

  it('kills a whole tree that ignores SIGTERM when it times out', async () => {
    const script =
      'trap "" TERM; (setsid sh -c "trap \'\' TERM; sleep 1000" &) ; sleep 1000 & sleep 1000; sleep 1000';
    const { outcome, result, runMs } = await harness.run({ command: ['sh', '-c', script], timeoutMs: 300 });
    assert.equal(outcome, 'timed_out');
    assert.equal(result.signal, 'SIGKILL');
    assert.ok(runMs >= 5_000, `SIGKILL came after ${runMs} ms, the grace is 5 s`);
  });

  it('cancels a running attempt, and one that is stopped by a signal of its own', async () => {
    const ref = harness.launch({ command: ['sh', '-c', 'echo on; sleep 1000'] });
    await harness.untilOutput(ref, 'on');
    harness.executor.kill(ref, 'canceled');
    const { outcome, result } = await harness.finished(ref);
    assert.equal(outcome, 'canceled');
    assert.equal(result.signal, 'SIGTERM');

    const stopped = harness.launch({ command: ['sh', '-c', 'echo on; kill -STOP $$; sleep 1000'] });
    await harness.untilOutput(stopped, 'on');
    harness.executor.kill(stopped, 'canceled');
    assert.equal((await harness.finished(stopped)).outcome, 'canceled');
  });

  it('reports a superseded attempt as dropped, killed at once', async () => {
    const ref = harness.launch({ command: ['sh', '-c', 'trap "echo term" TERM; echo on; sleep 1000'] });
    await harness.untilOutput(ref, 'on');
    harness.executor.kill(ref, 'superseded');
    assert.deepEqual(await harness.ending(ref), { kind: 'dropped' });
    assert.deepEqual(leftovers(ref.task), []);
  });

  it('ends a tree that forks as fast as it can', async () => {
    const script =
      'f() { (sleep 0.02; f) & (setsid sh -c "sleep 1000" &) ; sleep 0.02; }; echo on; while :; do f; done';
    const ref = harness.launch({ command: ['sh', '-c', script] });
    await harness.untilOutput(ref, 'on');
    await poll(() => leftovers(ref.task).length > 10, 'a tree');
    harness.executor.kill(ref, 'superseded');
    await harness.ending(ref);
    assert.deepEqual(leftovers(ref.task), []);
  });

  it('kills a tree that uses more memory than it reserved', async () => {
    const script =
      'import time\nblock = bytearray(200 * 1024 * 1024)\nprint("got it", flush=True)\ntime.sleep(1000)';
    const { outcome, reason, result } = await harness.run({ script, memoryMb: 100 });
    assert.equal(outcome, 'failed');
    assert.equal(result.signal, 'SIGKILL');
    const used = /^out of memory: used (\d+) of 100 MiB$/.exec(reason ?? '')?.[1];
    assert.ok(Number(used) > 100 && Number(used) < 400, reason ?? '');
  });

  it('says so when a program was killed from outside', async () => {
    const { outcome, reason } = await harness.run({ command: ['sh', '-c', 'kill -KILL $$'] });
    assert.equal(outcome, 'failed');
    assert.match(reason ?? '', /^killed by SIGKILL from outside/);
  });
});
