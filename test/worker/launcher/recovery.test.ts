// Crashes of the node's process, of the launcher, of both; real processes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { launcherLayout } from '../../../src/worker/launcher/layout.ts';
import { monotonicMs } from '../../../src/worker/monotonic.ts';
import { Harness, isRunning, isStopped, leftovers, LONG_LEASE_MS, poll, temporaryFolder } from './harness.ts';

/** One process in the group, one in another session, one orphan of a double fork that also closed its output. */
const FAMILY = [
  'import os, time',
  'if os.fork() == 0:',
  '    os.setsid()',
  '    if os.fork() == 0:',
  '        os.closerange(0, 3)',
  '    time.sleep(1000)',
  'print("family", flush=True)',
  'time.sleep(1000)',
].join('\n');

const TICK_MS = 50;

/** A process that starts a launcher by the executor, launches one task, tells what it knows, and waits to be killed. */
const NODE_PROGRAM = (dataDir: string, executorUrl: string, task: string): string => `
  import { LauncherExecutor } from ${JSON.stringify(executorUrl)};
  const log = { info() {}, warn() {} };
  const executor = new LauncherExecutor({ node: 'server2', dataDir: ${JSON.stringify(dataDir)}, log });
  await executor.start({ onStarted() { console.log(JSON.stringify(executor.pids)); }, onEnded() {}, onFatal() {} });
  const [seconds, nanoseconds] = process.hrtime();
  executor.extendLease(seconds * 1000 + nanoseconds / 1e6 + 1500);
  executor.launch({ task: ${JSON.stringify(task)}, token: 1, number: 1, spec: {
    script: null, command: ['sh', '-c', 'while [ ! -e end ]; do echo tick; sleep ${TICK_MS / 1_000}; done; echo over'],
    interpreter: null, stdin: null, env: {}, cwd: null, timeoutMs: null, memoryMb: 0, onDisconnect: 'pause', files: [], collect: [] } });
  setInterval(() => {}, 1000);
`;

describe('after a crash', () => {
  it('of the launcher by SIGKILL, its guard leaves nothing, and the attempts are given back', async () => {
    const harness = new Harness();
    await harness.start();
    const running = harness.launch({ script: FAMILY });
    const ended = harness.launch({ command: ['sh', '-c', 'echo result'] });
    await harness.ending(ended); // not acknowledged
    await harness.untilOutput(running, 'family');
    await poll(() => leftovers(running.task).length === 3, 'the family');
    const first = harness.executor.pids;
    harness.endings.clear();
    process.kill(first.launcher, 'SIGKILL');
    const ending = await harness.ending(running);
    assert.deepEqual(ending, {
      kind: 'released',
      reason: 'the launcher of server2 died and the task with it',
      fault: true,
    });
    assert.deepEqual(leftovers(running.task), [], 'nothing is left when it is reported');
    const repeated = await harness.ending(ended);
    assert.equal(repeated.kind === 'finished' && repeated.result.stdout, 'result\n', 'the result survived');
    assert.notEqual(harness.executor.pids.launcher, first.launcher, 'another one serves');
    await poll(() => !isRunning(first.guard), 'the end of the guard');
    assert.equal(
      (await harness.run({ command: ['true'] })).outcome,
      'succeeded',
      'and goes on with the lease',
    );
    await harness.stop();
  });

  it('of the launcher while its tasks are paused, nothing is left either', async () => {
    const harness = new Harness();
    await harness.start();
    const ref = harness.launch({ script: FAMILY });
    await harness.untilOutput(ref, 'family');
    harness.executor.extendLease(monotonicMs());
    await poll(() => leftovers(ref.task).every(isStopped), 'the pause');
    process.kill(harness.executor.pids.launcher, 'SIGKILL');
    assert.equal((await harness.ending(ref)).kind, 'released');
    assert.deepEqual(leftovers(ref.task), []);
    await harness.stop();
  });

  it('of the guard, there is a new one that knows everything', async () => {
    const harness = new Harness();
    await harness.start();
    const ref = harness.launch({ script: FAMILY });
    await harness.untilOutput(ref, 'family');
    process.kill(harness.executor.pids.guard, 'SIGKILL');
    const { result } = await harness.run({ command: ['sh', '-c', 'sleep 0.2'] }); // time for the new one
    assert.equal(result.exitCode, 0);
    process.kill(harness.executor.pids.launcher, 'SIGKILL');
    await poll(() => leftovers(ref.task).length === 0, 'the end of the family');
    await harness.ending(ref);
    await harness.stop();
  });

  it('of the node’s process, the next one takes over the running task with its output and time', async () => {
    const dataDir = temporaryFolder();
    const task = `t-${process.pid}-adopt`;
    const executorUrl = new URL('../../../src/worker/launcher-executor.ts', import.meta.url).href;
    const program = NODE_PROGRAM(dataDir, executorUrl, task);
    const node = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(node.stdout, 'data')) as [Buffer];
    const { launcher } = JSON.parse(line.toString()) as { launcher: number };
    const harness = new Harness(dataDir);
    await poll(() => harness.output({ task, token: 1 }).includes('tick'), 'output');
    node.kill('SIGKILL');
    await once(node, 'exit');
    await poll(
      () => leftovers(task).length > 0 && leftovers(task).every(isStopped),
      'the pause, nobody renewed the lease',
    );
    assert.equal(isRunning(launcher), true);

    const holdings = await harness.start(null);
    assert.equal(harness.executor.pids.launcher, launcher, 'it is the same launcher');
    assert.deepEqual(holdings, {
      ...holdings,
      running: [{ task, token: 1, started: true }],
      ended: [],
    });
    const before = harness.output({ task, token: 1 });
    harness.executor.extendLease(monotonicMs() + LONG_LEASE_MS);
    await poll(() => harness.output({ task, token: 1 }).length > before.length, 'more output');
    const { attempts } = launcherLayout(dataDir);
    await harness.run({ command: ['touch', join(attempts, `${task}.1.1`, 'scratch', 'end')] });
    const { outcome, result, runMs } = await harness.finished({ task, token: 1 });
    assert.equal(outcome, 'succeeded');
    assert.ok(result.stdout.startsWith(before), 'the output of before is there');
    assert.match(result.stdout, /^(tick\n)+over\n$/);
    // Each tick took its time, those before the crash too; but the pause may have fallen into one.
    const tickedMs = (result.stdout.split('tick').length - 3) * TICK_MS;
    assert.ok(runMs >= tickedMs, `it counts from the first start (${runMs} ms, ticks ${tickedMs} ms)`);
    await harness.stop();
  });

  it('of everything at once (crash), the next life gives back what ran', async () => {
    const harness = new Harness();
    await harness.start();
    const ref = harness.launch({ script: FAMILY });
    await harness.untilOutput(ref, 'family');
    await poll(() => leftovers(ref.task).length === 3, 'the family');
    const { launcher, guard } = harness.executor.pids;
    await harness.executor.crash();
    assert.deepEqual(leftovers(ref.task), []);
    assert.equal(isRunning(launcher), false);
    assert.equal(isRunning(guard), false);
    assert.equal(harness.endings.size, 0, 'nothing was reported');

    const next = new Harness(harness.dataDir);
    const holdings = await next.start();
    assert.deepEqual(holdings.running, []);
    assert.deepEqual(holdings.ended, [
      {
        ...ref,
        ending: {
          kind: 'released',
          reason: 'the launcher of server2 died and the task with it',
          fault: true,
        },
      },
    ]);
    next.executor.acknowledge(ref);
    await next.stop();
  });
});
