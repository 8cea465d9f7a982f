/** The life of a task through the state machine: which steps are allowed, and what each leaves behind. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backoffDelayMs, jitteredMs } from '../../../src/scheduler/state/lifecycle.ts';
import { STATE_LIMITS } from '../../../src/scheduler/state/limits.ts';
import type { Op } from '../../../src/scheduler/state/ops.ts';
import { MachineDriver, newTask, taskResult } from '../machine-driver.ts';

const FINISH = { runMs: 1, reason: null, result: taskResult() } as const;

async function withNodes(): Promise<MachineDriver> {
  const driver = await MachineDriver.create();
  driver.nodeUp('n1');
  driver.nodeUp('n2');
  return driver;
}

describe('a task', () => {
  it('goes from queued over assigned and running to succeeded, and says so in its timeline', async () => {
    const driver = await withNodes();
    driver.submit('a');
    assert.equal(driver.task('a').status, 'queued');
    const token = driver.assign('a', 'n1');
    assert.equal(driver.task('a').status, 'assigned');
    driver.now += 10;
    driver.one({ op: 'start', task: 'a', token });
    assert.equal(driver.task('a').status, 'running');
    driver.now += 100;
    assert.deepEqual(driver.finish('a', token), { kind: 'done' });
    const task = driver.task('a');
    assert.equal(task.status, 'succeeded');
    assert.equal(task.finishedAt, driver.now);
    assert.deepEqual(
      task.timeline.map(({ what, node, attempt }) => [what, node, attempt]),
      [
        ['assigned', 'n1', 1],
        ['started', 'n1', 1],
        ['finished', 'n1', 1],
      ],
    );
    assert.deepEqual(
      task.attempts.map(({ number, token: own, outcome, exitCode }) => [number, own, outcome, exitCode]),
      [[1, token, 'succeeded', 0]],
    );
    assert.equal(driver.machine.state.tasks.countOf('succeeded'), 1);
    assert.equal(driver.machine.state.tasks.liveCount, 0);
  });

  it('may finish without a start having been heard of', async () => {
    const driver = await withNodes();
    driver.submit('a');
    const token = driver.assign('a', 'n1');
    driver.now += 1_000;
    driver.one({ op: 'finish', task: 'a', token, outcome: 'succeeded', ...FINISH, runMs: 300 });
    assert.equal(driver.task('a').startedAt, driver.now - 300);
  });

  it('is assigned once per entry, only when queued, and only to a node that is up and not draining', async () => {
    const driver = await withNodes();
    driver.submit('a');
    const assignTo = (node: string): Op => ({
      op: 'assign',
      task: 'a',
      node,
      placement: { reason: '', rows: '' },
    });
    assert.equal(driver.one(assignTo('nowhere')).kind, 'refused');
    driver.one({ op: 'drain', node: 'n2', drain: true, deadlineMs: null });
    assert.equal(driver.one(assignTo('n2')).kind, 'refused');
    const [first, second] = driver.apply(assignTo('n1'), assignTo('n1'));
    assert.deepEqual([first?.kind, second?.kind], ['done', 'refused']);
    const token = driver.index;
    const sameEntry = driver.apply(
      { op: 'lost', task: 'a', token, reason: 'gone' },
      assignTo('n1'),
      { op: 'lost', task: 'a', token: token + 1, reason: 'gone' },
      assignTo('n1'),
    );
    assert.deepEqual(
      sameEntry.map(({ kind }) => kind),
      ['done', 'done', 'done', 'refused'],
    );
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'gone' });
    assert.equal(driver.one(assignTo('n1')).kind, 'refused');
  });

  it('refuses what names nothing it knows, and ignores what is no entry, alike on every server', async () => {
    const driver = await withNodes();
    assert.equal(driver.one({ op: 'start', task: 'nobody', token: 1 }).kind, 'refused');
    assert.equal(driver.one({ op: 'cancel', task: 'nobody' }).kind, 'refused');
    const before = driver.machine.stateHash();
    driver.machine.apply({
      index: 99 as never,
      term: 1 as never,
      payload: new TextEncoder().encode('{"at":"soon","ops":7}'),
    });
    assert.equal(driver.machine.stateHash(), before);
  });

  it('takes its time from the entries and never back', async () => {
    const driver = await withNodes();
    driver.now = 5_000_000;
    driver.submit('a');
    driver.now = 1_000;
    driver.submit('b');
    assert.equal(driver.task('b').submittedAt, 5_000_000);
  });
});

describe('fencing', () => {
  it('records a late finish at the replaced attempt and leaves the result alone, live and archived', async () => {
    const driver = await withNodes();
    driver.submit('a');
    const old = driver.assign('a', 'n1');
    driver.one({ op: 'start', task: 'a', token: old });
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'silent' });
    assert.equal(driver.task('a').status, 'queued');
    assert.match(driver.task('a').pendingReason ?? '', /node n1 was lost/);
    const current = driver.assign('a', 'n2');

    assert.deepEqual(driver.finish('a', old), { kind: 'superseded' });
    assert.equal(driver.task('a').status, 'assigned');
    assert.equal(driver.task('a').attempts[0]?.outcome, 'superseded');
    assert.equal(driver.task('a').timeline.at(-1)?.what, 'superseded');
    const eventsBefore = driver.task('a').timeline.length;
    assert.deepEqual(driver.finish('a', old), { kind: 'superseded' });
    assert.equal(driver.task('a').timeline.length, eventsBefore);

    for (const op of ['start', 'lost', 'release'] as const) {
      const result = driver.one({ op, task: 'a', token: old, reason: 'late' });
      assert.equal(result.kind, 'superseded', op);
    }
    assert.equal(driver.finish('a', current, 'failed', 3).kind, 'done');
    assert.equal(driver.task('a').status, 'failed');

    driver.submit('b');
    driver.nodeUp('n1');
    const oldB = driver.assign('b', 'n1');
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'silent' });
    driver.finish('b', driver.assign('b', 'n2'));
    assert.deepEqual(driver.finish('b', oldB, 'failed', 9), { kind: 'superseded' });
    const archived = driver.task('b');
    assert.equal(archived.status, 'succeeded');
    assert.equal(archived.result?.exitCode, 0);
    assert.equal(archived.attempts[0]?.outcome, 'superseded');
    assert.equal(archived.timeline.at(-1)?.what, 'superseded');
    assert.deepEqual(driver.finish('b', oldB), { kind: 'superseded' });
    assert.equal(driver.task('b').timeline.length, archived.timeline.length);
  });

  it('answers the same finish twice as recorded', async () => {
    const driver = await withNodes();
    driver.submit('a', { maxAttempts: 2, backoffMs: 0 });
    const token = driver.assign('a', 'n1');
    driver.finish('a', token, 'failed');
    assert.deepEqual(driver.finish('a', token, 'failed'), { kind: 'duplicate' });
    const second = driver.assign('a', 'n2');
    driver.finish('a', second);
    assert.deepEqual(driver.finish('a', second), { kind: 'duplicate' });
    assert.deepEqual(driver.finish('a', token, 'failed'), { kind: 'duplicate' });
    assert.deepEqual(driver.finish('nobody', token).kind, 'refused');
    assert.deepEqual(driver.one({ op: 'start', task: 'a', token }), { kind: 'superseded' });
  });
});

describe('retries', () => {
  it('double their pause up to a limit', () => {
    const spec = { command: ['x'], backoffMs: 1_000 };
    assert.deepEqual(
      [1, 2, 3, 4].map((used) => backoffDelayMs(spec, used)),
      [1_000, 2_000, 4_000, 8_000],
    );
    assert.equal(backoffDelayMs(spec, 90), STATE_LIMITS.backoffMsMax);
    const slow = { command: ['x'], backoffMs: 2 * STATE_LIMITS.backoffMsMax };
    assert.equal(backoffDelayMs(slow, 5), 2 * STATE_LIMITS.backoffMsMax);
  });

  it('come back spread out, never too early, and on every server at the same time', async () => {
    const spread = Array.from({ length: 1_000 }, (_, n) => jitteredMs(10_000, `task${n} 1`));
    assert.ok(spread.every((ms) => ms >= 10_000 && ms < 15_000));
    for (let from = 10_000; from < 15_000; from += 500) {
      const share = spread.filter((ms) => ms >= from && ms < from + 500).length / spread.length;
      assert.ok(share > 0.05 && share < 0.2, `${share} of them from ${from} ms on`);
    }
    assert.equal(jitteredMs(10_000, 'x 1'), jitteredMs(10_000, 'x 1'));
    assert.notEqual(jitteredMs(10_000, 'x 1'), jitteredMs(10_000, 'x 2'));
    assert.equal(jitteredMs(0, 'x'), 0);
    const driver = await withNodes();
    driver.one({ op: 'version', version: 2 });
    const due = ['p', 'q', 'r', 's'].map((id) => {
      driver.submit(id, { maxAttempts: 2, backoffMs: 60_000 });
      driver.finish(id, driver.assign(id, 'n1'), 'failed');
      return (driver.task(id).runAt ?? 0) - driver.now;
    });
    assert.equal(new Set(due).size, due.length, String(due));
  });

  it('come after the pause, count failures and timeouts, and end with the last attempt’s outcome', async () => {
    const driver = await withNodes();
    driver.one({ op: 'version', version: 2 });
    driver.submit('a', { maxAttempts: 3, backoffMs: 500 });
    driver.finish('a', driver.assign('a', 'n1'), 'failed');
    let task = driver.task('a');
    assert.equal(task.status, 'scheduled');
    const pauseMs = jitteredMs(500, 'a 1');
    assert.equal(task.runAt, driver.now + pauseMs);
    assert.match(task.pendingReason ?? '', /exit code 1; attempt 2 of 3 starts after \d+ ms/);
    assert.deepEqual(driver.one({ op: 'due' }), { kind: 'more', more: false });
    assert.equal(driver.task('a').status, 'scheduled');
    driver.now += pauseMs;
    assert.equal(driver.machine.state.tasks.nextDueAt(), driver.now);
    driver.one({ op: 'due' });
    assert.equal(driver.task('a').status, 'queued');

    // The loss of a node uses up nothing.
    driver.assign('a', 'n1');
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'gone' });
    driver.finish('a', driver.assign('a', 'n2'), 'timed_out');
    assert.equal(driver.task('a').runAt, driver.now + jitteredMs(1_000, 'a 2'));
    driver.now += jitteredMs(1_000, 'a 2');
    driver.one({ op: 'due' });
    driver.finish('a', driver.assign('a', 'n2'), 'failed', 7);
    task = driver.task('a');
    assert.equal(task.status, 'failed');
    assert.equal(task.result?.exitCode, 7);
    assert.deepEqual(
      task.attempts.map(({ outcome }) => outcome),
      ['failed', 'lost', 'timed_out', 'failed'],
    );
    assert.equal(task.attemptsUsed, 3);
  });

  it('are not made after an exit code that is listed', async () => {
    const driver = await withNodes();
    driver.submit('a', { maxAttempts: 5, noRetryExitCodes: [2, 3] });
    driver.finish('a', driver.assign('a', 'n1'), 'failed', 3);
    assert.equal(driver.task('a').status, 'failed');
  });

  it('keep the first and the latest of very many attempts', async () => {
    const driver = await withNodes();
    driver.submit('a');
    for (let round = 0; round < 300; round += 1) {
      const token = driver.assign('a', 'n1');
      driver.one({ op: 'release', task: 'a', token, reason: 'again' });
    }
    const task = driver.task('a');
    assert.equal(task.attempts.length, STATE_LIMITS.attemptsHead + STATE_LIMITS.attemptsTail);
    assert.equal(task.attempts[0]?.number, 1);
    assert.equal(task.attempts.at(-1)?.number, 300);
    assert.equal(task.timeline.length, STATE_LIMITS.timelineHead + STATE_LIMITS.timelineTail);
    assert.equal(task.timelineCut, 600 - task.timeline.length);
  });
});

describe('cancel', () => {
  it('ends a queued or scheduled task at once', async () => {
    const driver = await withNodes();
    driver.submit('a');
    driver.submit('b', { delayMs: 60_000 });
    assert.equal(driver.one({ op: 'cancel', task: 'a' }).kind, 'done');
    assert.equal(driver.one({ op: 'cancel', task: 'b' }).kind, 'done');
    assert.deepEqual([driver.task('a').status, driver.task('b').status], ['canceled', 'canceled']);
    assert.equal(driver.one({ op: 'cancel', task: 'a' }).kind, 'refused');
    assert.equal(driver.machine.state.tasks.queue.size, 0);
    assert.equal(driver.machine.state.tasks.nextDueAt(), null);
  });

  it('waits for the node to confirm, and ends the task if the node is lost instead', async () => {
    const driver = await withNodes();
    for (const id of ['a', 'b', 'c', 'd']) driver.submit(id, { maxAttempts: 3 });
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => driver.assign(id, 'n1'));
    for (const id of ['a', 'b', 'c', 'd']) assert.equal(driver.one({ op: 'cancel', task: id }).kind, 'done');
    assert.equal(driver.one({ op: 'cancel', task: 'a' }).kind, 'duplicate');
    assert.equal(driver.task('a').status, 'assigned');
    driver.finish('a', a ?? 0, 'canceled');
    assert.equal(driver.task('a').status, 'canceled');
    // It ended by itself before the order reached it.
    driver.finish('b', b ?? 0, 'succeeded');
    assert.equal(driver.task('b').status, 'succeeded');
    driver.finish('c', c ?? 0, 'failed');
    assert.equal(driver.task('c').status, 'canceled');
    assert.ok(d);
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'gone' });
    assert.equal(driver.task('d').status, 'canceled');
  });

  it('of an attempt that nobody asked for (a drain’s deadline) gives the task back', async () => {
    const driver = await withNodes();
    driver.submit('a');
    const token = driver.assign('a', 'n1');
    driver.finish('a', token, 'canceled');
    const task = driver.task('a');
    assert.equal(task.status, 'queued');
    assert.equal(task.attempts[0]?.outcome, 'lost');
    assert.equal(task.attemptsUsed, 0);
  });
});

describe('delay and dependencies', () => {
  it('make a task wait for its time', async () => {
    const driver = await withNodes();
    driver.submit('a', { delayMs: 1_000 });
    assert.equal(driver.task('a').status, 'scheduled');
    driver.now += 999;
    driver.one({ op: 'due' });
    assert.equal(driver.task('a').status, 'scheduled');
    driver.now += 1;
    driver.one({ op: 'due' });
    assert.equal(driver.task('a').status, 'queued');
  });

  it('let a task go once all have succeeded, and not before its time', async () => {
    const driver = await withNodes();
    driver.run('done');
    driver.submit('a');
    driver.submit('b');
    driver.submit('c', { after: ['a', 'b', 'a', 'done'] });
    driver.submit('later', { after: ['a'], delayMs: 10_000 });
    assert.equal(driver.task('c').pendingReason, 'waiting for 2 tasks to succeed');
    driver.finish('a', driver.assign('a', 'n1'));
    assert.equal(driver.task('c').pendingReason, 'waiting for 1 task to succeed');
    assert.equal(driver.task('later').status, 'scheduled');
    driver.finish('b', driver.assign('b', 'n1'));
    assert.equal(driver.task('c').status, 'queued');
    driver.now += 10_000;
    driver.one({ op: 'due' });
    assert.equal(driver.task('later').status, 'queued');
  });

  it('cancel whoever waits for one that did not succeed, and those that wait for them', async () => {
    const driver = await withNodes();
    driver.submit('a');
    driver.submit('b', { after: ['a'] });
    driver.submit('c', { after: ['b'] });
    driver.finish('a', driver.assign('a', 'n1'), 'failed');
    assert.deepEqual([driver.task('b').status, driver.task('c').status], ['canceled', 'canceled']);
    assert.match(driver.task('b').timeline.at(-1)?.why ?? '', /task a, which it waited for, ended as failed/);
    driver.submit('d', { after: ['a'] });
    assert.equal(driver.task('d').status, 'canceled');
  });

  it('are refused on tasks that are not there', async () => {
    const driver = await withNodes();
    const result = driver.submit('a', { after: ['nobody'] });
    assert.ok(result.kind === 'submitted');
    assert.deepEqual(
      [result.accepted, result.items[0]],
      [false, { kind: 'refused', code: 'INVALID', field: 'after[0]', message: 'there is no task "nobody"' }],
    );
    assert.equal(driver.machine.state.tasks.liveCount, 0);
  });
});

describe('nodes', () => {
  it('keep a drain over a new registration, and lose what they had when they are down', async () => {
    const driver = await withNodes();
    driver.submit('a');
    driver.submit('b');
    driver.assign('b', 'n1');
    driver.assign('a', 'n1');
    driver.one({ op: 'drain', node: 'n1', drain: true, deadlineMs: 500 });
    assert.equal(driver.machine.state.nodes.get('n1')?.drainUntil, driver.now + 500);
    driver.nodeUp('n1', { slots: 9 });
    assert.equal(driver.machine.state.nodes.get('n1')?.draining, true);
    const events: string[] = [];
    driver.machine.observe({
      applied: (entry) => {
        for (const event of entry.events)
          events.push(`${event.kind} ${event.kind === 'leader' ? '' : event.id}`);
      },
    });
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'gone' });
    // In the order of submission, which is the same on every server.
    assert.deepEqual(events, ['node n1', 'task a', 'task b']);
    assert.equal(driver.machine.state.tasks.onNode('n1').size, 0);
    assert.equal(driver.one({ op: 'nodeDown', node: 'n1', reason: 'gone' }).kind, 'duplicate');
    assert.equal(driver.one({ op: 'nodeDown', node: 'n9', reason: 'gone' }).kind, 'refused');
    assert.equal(driver.one({ op: 'drain', node: 'n9', drain: true, deadlineMs: null }).kind, 'refused');
    driver.one({ op: 'drain', node: 'n1', drain: false, deadlineMs: null });
    assert.equal(driver.machine.state.nodes.get('n1')?.drainUntil, null);
  });

  it('make room for new ones, the longest down first', async () => {
    const driver = await MachineDriver.create();
    const ops: Op[] = [];
    for (let at = 0; at < STATE_LIMITS.nodesMax; at += 1) {
      ops.push({
        op: 'nodeUp',
        node: {
          ...{ id: `w${at}`, role: 'worker', address: 'h:1', slots: 1, cpus: 1, memoryMb: 1 },
          ...{ labels: {}, instance: 'i' },
        },
      });
    }
    driver.apply(...ops);
    assert.equal(driver.one({ ...ops[0], node: { ...ops[0], id: 'new' } } as unknown as Op).kind, 'refused');
    driver.one({ op: 'nodeDown', node: 'w7', reason: 'gone' });
    driver.nodeUp('new');
    assert.equal(driver.machine.state.nodes.has('w7'), false);
    assert.equal(driver.machine.state.nodes.size, STATE_LIMITS.nodesMax);
  });
});

describe('batches', () => {
  it('are all or nothing when atomic, each by itself when not', async () => {
    const driver = await withNodes();
    const tasks = [newTask('a'), newTask('b', { after: ['nobody'] }), newTask('c')];
    const refused = driver.one({ op: 'submit', atomic: true, tasks });
    assert.equal(refused.kind === 'submitted' && refused.accepted, false);
    assert.equal(driver.machine.state.tasks.liveCount, 0);
    const accepted = driver.one({ op: 'submit', atomic: false, tasks });
    assert.deepEqual(accepted.kind === 'submitted' && accepted.items.map(({ kind }) => kind), [
      'created',
      'refused',
      'created',
    ]);
    assert.equal(driver.machine.state.tasks.liveCount, 2);
  });

  it('may come in parts, of which the last makes all visible', async () => {
    const driver = await withNodes();
    const part = (at: number, last: boolean, ...ids: string[]): Op => ({
      ...{ op: 'stage', batch: 'x', part: at, last, tasks: ids.map((id) => newTask(id)) },
    });
    assert.equal(driver.one(part(0, false, 'a', 'b')).kind, 'done');
    assert.equal(driver.machine.state.tasks.liveCount, 0);
    const done = driver.one(part(1, true, 'c'));
    assert.deepEqual(done.kind === 'submitted' && done.items.map(({ kind }) => kind), [
      'created',
      'created',
      'created',
    ]);
    assert.equal(driver.machine.state.tasks.liveCount, 3);

    // A part is missing, or the master that sent the first one is not the master any more.
    driver.one(part(0, false, 'd'));
    assert.equal(driver.one(part(2, true, 'e')).kind, 'refused');
    driver.one(part(0, false, 'd'));
    driver.newTerm();
    assert.equal(driver.one(part(1, true, 'e')).kind, 'refused');
    driver.one(part(0, false, 'd'));
    assert.equal(driver.one({ op: 'unstage', batch: 'x' }).kind, 'done');
    assert.equal(driver.machine.state.staged.size, 0);
    assert.equal(driver.machine.state.tasks.liveCount, 3);
  });
});

describe('the queue', () => {
  it('gives turns by priority and then by submission, also to a task that comes back', async () => {
    const driver = await withNodes();
    driver.submit('low', { priority: 10 });
    driver.submit('first');
    driver.submit('second');
    driver.submit('high', { priority: 90 });
    const order = (): string[] =>
      [...driver.machine.state.tasks.queue.shapes()].flatMap((shape) =>
        [...shape.inOrder()].map(({ seq }) => driver.machine.state.tasks.bySeq(seq)?.id ?? '?'),
      );
    assert.deepEqual(order(), ['high', 'first', 'second', 'low']);
    const token = driver.assign('first', 'n1');
    assert.deepEqual(order(), ['high', 'second', 'low']);
    driver.one({ op: 'release', task: 'first', token, reason: 'stopping' });
    assert.deepEqual(order(), ['high', 'first', 'second', 'low']);
  });
});

describe('a task that is lost again and again', () => {
  it('is given up at the limit, with the reason; what was given back in order does not count', async () => {
    const driver = await withNodes();
    driver.one({ op: 'version', version: 2 });
    driver.submit('a', { maxAttempts: 1 });
    for (let n = 1; n < STATE_LIMITS.lossesMax; n += 1) {
      const token = driver.assign('a', 'n1');
      const reason = 'the launcher of n1 died and the task with it';
      driver.one({ op: 'release', task: 'a', token, reason, fault: true });
      assert.deepEqual([driver.task('a').status, driver.task('a').losses], ['queued', n]);
      const orderly = driver.assign('a', 'n2');
      driver.one({ op: 'release', task: 'a', token: orderly, reason: 'n2 is being stopped' });
      assert.deepEqual([driver.task('a').status, driver.task('a').losses], ['queued', n]);
    }
    driver.assign('a', 'n1');
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'no heartbeat' });
    const task = driver.task('a');
    assert.deepEqual([task.status, task.result, task.pendingReason], ['failed', null, null]);
    const { outcome, reason } = task.attempts.at(-1) ?? {};
    assert.equal(outcome, 'lost');
    assert.match(
      reason ?? '',
      /^given up after 10 lost attempts, which is the limit; the last one: node n1 was lost: no heartbeat/,
    );
    assert.equal(task.timeline.at(-1)?.why, reason);
    assert.equal(task.attemptsUsed, 0);
  });

  it('is canceled where that was asked, and a late result of it is refused', async () => {
    const driver = await withNodes();
    driver.one({ op: 'version', version: 2 });
    driver.submit('a');
    let token = 0;
    for (let n = 1; n <= STATE_LIMITS.lossesMax; n += 1) {
      token = driver.assign('a', 'n1');
      driver.one({ op: 'lost', task: 'a', token, reason: 'gone' });
    }
    assert.equal(driver.task('a').status, 'failed');
    assert.deepEqual(driver.finish('a', token), { kind: 'superseded' });
    assert.equal(driver.task('a').status, 'failed');
    driver.submit('b');
    for (let n = 1; n <= STATE_LIMITS.lossesMax; n += 1) {
      token = driver.assign('b', 'n1');
      if (n === STATE_LIMITS.lossesMax) driver.one({ op: 'cancel', task: 'b' });
      driver.one({ op: 'lost', task: 'b', token, reason: 'gone' });
    }
    assert.equal(driver.task('b').status, 'canceled');
  });

  it('shows an attempt that came back after it was replaced, also of a task that has ended', async () => {
    const driver = await withNodes();
    driver.submit('a');
    const old = driver.assign('a', 'n1');
    driver.one({ op: 'nodeDown', node: 'n1', reason: 'silent' });
    const current = driver.assign('a', 'n2');
    assert.deepEqual(driver.one({ op: 'supersede', task: 'a', token: old }), { kind: 'superseded' });
    assert.equal(driver.task('a').attempts[0]?.outcome, 'superseded');
    assert.match(
      driver.task('a').timeline.at(-1)?.why ?? '',
      /^attempt 1 came back after it had been replaced/,
    );
    assert.equal(driver.one({ op: 'supersede', task: 'a', token: current }).kind, 'refused');
    assert.equal(driver.task('a').status, 'assigned');
    driver.submit('b');
    const lost = driver.assign('b', 'n2');
    driver.one({ op: 'lost', task: 'b', token: lost, reason: 'gone' });
    driver.finish('b', driver.assign('b', 'n2'));
    assert.deepEqual(driver.one({ op: 'supersede', task: 'b', token: lost }), { kind: 'superseded' });
    assert.equal(driver.task('b').attempts[0]?.outcome, 'superseded');
    assert.equal(driver.task('b').status, 'succeeded');
  });
});
