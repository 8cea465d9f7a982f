/** Tasks that wait for others: no cycles, nothing unknown, whole graphs, and what a repetition of a failed one means. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MachineDriver, newTask, restoreMachine } from '../machine-driver.ts';
import { Random } from './random.ts';

describe('dependencies', () => {
  it('cannot form a circle: a task knows only what was there before it', async () => {
    const driver = await MachineDriver.create();
    for (const tasks of [
      [newTask('a', { after: ['a'] })],
      [newTask('a', { after: ['b'] }), newTask('b', { after: ['a'] })],
    ]) {
      const result = driver.one({ op: 'submit', atomic: true, tasks });
      assert.ok(result.kind === 'submitted' && !result.accepted);
      assert.match(JSON.stringify(result.items[0]), /after\[0\].*there is no task/);
    }
    const inOrder = [newTask('a'), newTask('b', { after: ['a'] })];
    const taken = driver.one({ op: 'submit', atomic: true, tasks: inOrder });
    assert.ok(taken.kind === 'submitted' && taken.accepted);
  });

  it('are not met by the repetition of a task that failed: that is another task', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    driver.submit('a');
    driver.submit('b', { after: ['a'] });
    driver.finish('a', driver.assign('a', 'n1'), 'failed');
    assert.equal(driver.task('b').status, 'canceled');
    driver.one({ op: 'submit', atomic: true, tasks: [{ ...newTask('a2'), retryOf: 'a' }] });
    driver.submit('c', { after: ['a2'] });
    driver.finish('a2', driver.assign('a2', 'n1'));
    assert.equal(driver.task('b').status, 'canceled', 'final is final');
    assert.equal(driver.task('c').status, 'queued');
  });

  it('are known of archived tasks as long as those are kept, and refused afterwards', async () => {
    const driver = await MachineDriver.create(4);
    driver.nodeUp('n1');
    for (let at = 0; at < 12; at += 1) driver.run(`t${at}`);
    driver.flushAll();
    driver.submit('x', { after: ['t0', 't11'] });
    assert.equal(driver.task('x').status, 'queued');
    driver.one({ op: 'retire', through: 6 });
    const refused = driver.submit('y', { after: ['t11', 't0'] });
    assert.ok(refused.kind === 'submitted' && !refused.accepted);
    assert.match(JSON.stringify(refused.items), /after\[1\]/);
  });

  it('carry a graph of 10,000 tasks to its end, each after all it waits for, across a restart from a snapshot', async () => {
    const count = 10_000;
    const random = new Random(9);
    let driver = await MachineDriver.create();
    driver.nodeUp('n1');
    const after = new Map<string, readonly string[]>();
    const tasks = Array.from({ length: count }, (_, at) => {
      const earlier = Math.min(at, 1 + random.below(3));
      const on = [...new Set(Array.from({ length: earlier }, () => `t${random.below(at)}`))];
      after.set(`t${at}`, on);
      return newTask(`t${at}`, on.length === 0 ? {} : { after: on });
    });
    for (let from = 0; from < count; from += 1_000) {
      driver.one({ op: 'submit', atomic: true, tasks: tasks.slice(from, from + 1_000) });
    }
    const done = new Set<string>();
    let restarted = false;
    const began = performance.now();
    while (done.size < count) {
      const { queue } = driver.machine.state.tasks;
      const ready = [...queue.shapes()].flatMap((shape) =>
        [...shape.inOrder()].map(({ seq }) => `t${seq - 1}`),
      );
      assert.ok(ready.length > 0, `${count - done.size} wait for each other`);
      for (const id of ready) assert.ok(after.get(id)?.every((on) => done.has(on)));
      driver.apply(
        ...ready.map(
          (task) => ({ op: 'assign', task, node: 'n1', placement: { reason: '', rows: '' } }) as const,
        ),
      );
      const token = driver.index;
      for (const id of ready) {
        driver.finish(id, token);
        done.add(id);
      }
      if (done.size > count / 2 && !restarted) {
        restarted = true;
        driver = await restored(driver);
      }
    }
    assert.ok(performance.now() - began < 60_000, 'the cost of an end does not grow with the graph');
    assert.equal(driver.machine.state.tasks.countOf('succeeded'), count);
    assert.equal(driver.machine.state.tasks.liveCount, 0);
  });
});

/** The same state in another server's memory. */
async function restored(driver: MachineDriver): Promise<MachineDriver> {
  driver.flushAll();
  const next = new MachineDriver();
  Object.assign(next, { kv: driver.kv, index: driver.index, term: driver.term, now: driver.now });
  await restoreMachine(next.machine, driver.index, driver.term, await driver.snapshot(), driver.kv);
  return next;
}
