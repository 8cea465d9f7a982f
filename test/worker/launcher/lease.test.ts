// The launcher's own clock: what happens to real processes when the lease runs out, and when it is renewed.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { AttemptRef } from '../../../src/link/protocol.ts';
import { monotonicMs } from '../../../src/worker/monotonic.ts';
import { Harness, isStopped, leftovers, LONG_LEASE_MS, poll } from './harness.ts';

/** Writes the monotonic clock (ms) again and again; with a child of another session that does the same to stderr. */
const TICKER = [
  'import os, sys, time',
  'def tick(stream):',
  '    while True:',
  '        print(int(time.monotonic() * 1000), file=stream, flush=True)',
  '        time.sleep(0.02)',
  'if os.fork() == 0:',
  '    os.setsid()',
  '    if os.fork() == 0: tick(sys.stderr)',
  '    os._exit(0)',
  'tick(sys.stdout)',
].join('\n');

function ticks(text: string): number[] {
  return text.trim().split('\n').slice(0, -1).map(Number); // the last line may be half written
}

/** The longest time between two ticks. */
function longestGap(times: readonly number[]): { readonly fromMs: number; readonly gapMs: number } {
  let longest = { fromMs: 0, gapMs: 0 };
  for (let at = 1; at < times.length; at += 1) {
    const gapMs = times[at]! - times[at - 1]!;
    if (gapMs > longest.gapMs) longest = { fromMs: times[at - 1]!, gapMs };
  }
  return longest;
}

describe('the lease clock of the launcher', () => {
  let harness: Harness;
  before(async () => {
    harness = new Harness();
    await harness.start();
  });
  after(() => harness.stop());

  beforeEach(() => renew());

  const renew = (): void => harness.executor.extendLease(monotonicMs() + LONG_LEASE_MS);
  const untilTicking = async (ref: AttemptRef): Promise<void> => {
    await harness.untilOutput(ref, '\n');
    await poll(() => harness.output(ref, 'stderr').includes('\n'), 'the child');
  };
  const untilAllStopped = async (ref: AttemptRef): Promise<void> => {
    await poll(() => {
      const pids = leftovers(ref.task);
      return pids.length > 0 && pids.every(isStopped);
    }, 'a pause of all processes');
  };

  it('pauses the whole tree when it runs out and lets it go on when it is renewed', async () => {
    const ref = harness.launch({ script: TICKER });
    await untilTicking(ref);
    const untilMs = monotonicMs() + 500;
    harness.executor.extendLease(untilMs);
    await untilAllStopped(ref);
    const pausedAtMs = monotonicMs();
    assert.ok(pausedAtMs >= untilMs);
    const before = harness.output(ref);
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(harness.output(ref), before, 'not a line was written while paused');
    const renewedAtMs = monotonicMs();
    renew();
    await poll(() => harness.output(ref).length > before.length + 100, 'more output');
    harness.executor.kill(ref, 'canceled');
    const { result, runMs } = await harness.finished(ref);
    for (const text of [result.stdout, result.stderr]) {
      const { fromMs, gapMs } = longestGap(ticks(text));
      assert.ok(gapMs >= 600, `the longest gap is ${gapMs} ms`);
      assert.ok(fromMs <= pausedAtMs, 'nothing ran after the pause');
      assert.equal(
        ticks(text).some((at) => at > pausedAtMs && at < renewedAtMs),
        false,
      );
    }
    assert.ok(runMs <= monotonicMs() - untilMs + 10_000 - 700, 'the pause is not counted as running');
  });

  it('kills what is to stop on a disconnect, leaves alone what is to continue', async () => {
    const stop = harness.launch({ script: TICKER, onDisconnect: 'stop' });
    const goOn = harness.launch({ script: TICKER, onDisconnect: 'continue' });
    await untilTicking(stop);
    await untilTicking(goOn);
    harness.executor.extendLease(monotonicMs());
    const ending = await harness.ending(stop);
    assert.deepEqual(ending, { kind: 'released', reason: 'server2 lost the master (onDisconnect: stop)' });
    assert.deepEqual(leftovers(stop.task), []);
    const before = harness.output(goOn).length;
    await poll(() => harness.output(goOn).length > before + 100, 'more output');
    renew();
    harness.executor.kill(goOn, 'canceled');
    assert.equal((await harness.finished(goOn)).outcome, 'canceled');
  });

  it('starts nothing without a lease, except what may continue without one', async () => {
    harness.executor.extendLease(monotonicMs());
    const waits = harness.launch({ command: ['true'] });
    const canceled = harness.launch({ command: ['true'] });
    const superseded = harness.launch({ command: ['true'] });
    const { outcome } = await harness.run({ command: ['true'], onDisconnect: 'continue' });
    assert.equal(outcome, 'succeeded');
    assert.equal(harness.started.has(`${waits.task}.${waits.token}`), false);
    harness.executor.kill(canceled, 'canceled');
    const { outcome: ended, reason } = await harness.finished(canceled);
    assert.deepEqual([ended, reason], ['canceled', 'canceled before it was started']);
    harness.executor.kill(superseded, 'superseded');
    assert.deepEqual(await harness.ending(superseded), { kind: 'dropped' });
    renew();
    assert.equal((await harness.finished(waits)).outcome, 'succeeded');
  });

  it('does not let a paused attempt run on when it is killed, not even to end in order', async () => {
    const script = 'trap "echo TERM" TERM; echo on; while :; do sleep 0.02; done';
    const refs = [1, 2].map(() => harness.launch({ command: ['sh', '-c', script] }));
    for (const ref of refs) await harness.untilOutput(ref, 'on');
    harness.executor.extendLease(monotonicMs());
    for (const ref of refs) await untilAllStopped(ref);
    const [superseded, canceled] = refs as [AttemptRef, AttemptRef];
    harness.executor.kill(superseded, 'superseded');
    harness.executor.kill(canceled, 'canceled');
    assert.deepEqual(await harness.ending(superseded), { kind: 'dropped' });
    const { outcome, result } = await harness.finished(canceled);
    assert.equal(outcome, 'canceled');
    assert.equal(result.stdout, 'on\n');
    assert.deepEqual(leftovers(superseded.task), []);
    renew();
  });

  it('kills what is being ended in order when the lease runs out meanwhile', async () => {
    const ref = harness.launch({
      command: ['sh', '-c', 'trap "" TERM; echo on; while :; do sleep 0.1; done'],
    });
    await harness.untilOutput(ref, 'on');
    harness.executor.kill(ref, 'canceled');
    harness.executor.extendLease(monotonicMs());
    const { outcome, result, runMs } = await harness.finished(ref);
    assert.equal(outcome, 'canceled');
    assert.equal(result.signal, 'SIGKILL');
    assert.ok(runMs < 5_000, `it did not get the whole grace (${runMs} ms)`);
    renew();
  });

  it('does not count paused time for the timeout', async () => {
    const ref = harness.launch({ script: TICKER, timeoutMs: 2_500 });
    await untilTicking(ref);
    harness.executor.extendLease(monotonicMs());
    await untilAllStopped(ref);
    await new Promise((resolve) => setTimeout(resolve, 2_600));
    assert.equal(harness.endings.has(`${ref.task}.${ref.token}`), false, 'it is still there');
    renew();
    const { outcome, runMs } = await harness.finished(ref);
    assert.equal(outcome, 'timed_out');
    assert.ok(runMs >= 2_500);
  });

  it('pauses in a launcher that was stopped itself beyond the end of the lease', async () => {
    const ref = harness.launch({ script: TICKER });
    await untilTicking(ref);
    const { launcher } = harness.executor.pids;
    process.kill(launcher, 'SIGSTOP');
    harness.executor.extendLease(monotonicMs() + 100);
    await new Promise((resolve) => setTimeout(resolve, 500));
    process.kill(launcher, 'SIGCONT');
    await untilAllStopped(ref);
    renew();
    harness.executor.kill(ref, 'canceled');
    assert.equal((await harness.finished(ref)).outcome, 'canceled');
  });
});

describe('a pause that lasts too long', () => {
  it('ends with the attempt given back', async () => {
    const harness = new Harness(undefined, 300);
    await harness.start();
    const ref = harness.launch({ script: TICKER });
    await harness.untilStarted(ref);
    harness.executor.extendLease(monotonicMs());
    const ending = await harness.ending(ref);
    assert.equal(ending.kind, 'released');
    assert.match((ending as { reason: string }).reason, /^paused for/);
    assert.deepEqual(leftovers(ref.task), []);
    await harness.stop();
  });
});
