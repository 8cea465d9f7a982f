/** One key, one task: among the live, within one call, in the archive, and while the log is replayed over an archive ahead of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OpResult } from '../../../src/scheduler/state/ops.ts';
import { MachineDriver, newTask } from '../machine-driver.ts';
import { replayed } from './replay.ts';

function kindOf(result: OpResult): string {
  return result.kind === 'submitted' ? (result.items[0]?.kind ?? '?') : result.kind;
}

describe('an idempotency key', () => {
  it('stands for the task that was made with it, as long as the content is the same', async () => {
    const driver = await MachineDriver.create();
    driver.submit('a', {}, { key: 'k', content: 'c' });
    const again = driver.submit('b', {}, { key: 'k', content: 'c' });
    assert.deepEqual(again.kind === 'submitted' && again.items, [{ kind: 'existing', id: 'a' }]);
    const other = driver.submit('c', {}, { key: 'k', content: 'other' });
    assert.deepEqual(other.kind === 'submitted' && other.items, [
      {
        kind: 'refused',
        code: 'CONFLICT',
        field: 'idempotencyKey',
        message: 'was used for task a, which has other content',
      },
    ]);
    assert.equal(driver.machine.state.tasks.liveCount, 1);
  });

  it('works between the tasks of one call', async () => {
    const driver = await MachineDriver.create();
    const keyed = (id: string, content: string) => newTask(id, {}, { key: 'k', content });
    const same = driver.one({ op: 'submit', atomic: true, tasks: [keyed('a', 'c'), keyed('b', 'c')] });
    assert.deepEqual(same.kind === 'submitted' && same.items, [
      { kind: 'created', id: 'a' },
      { kind: 'existing', id: 'a' },
    ]);
    const other = driver.one({
      op: 'submit',
      atomic: true,
      tasks: [newTask('c', {}, { key: 'k2', content: '1' }), newTask('d', {}, { key: 'k2', content: '2' })],
    });
    assert.equal(other.kind === 'submitted' && other.accepted, false);
    assert.equal(driver.machine.state.tasks.liveCount, 1);
  });

  it('holds for finished tasks too, in memory or in the store, and is free again once they are retired', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    driver.submit('a', {}, { key: 'k', content: 'c' });
    driver.finish('a', driver.assign('a', 'n1'));
    assert.equal(kindOf(driver.submit('b', {}, { key: 'k', content: 'c' })), 'existing');
    for (let at = 0; at < 300; at += 1) driver.run(`filler${at}`);
    driver.flushAll();
    assert.ok([...driver.kv.map.keys()].some((key) => key.startsWith('a!')));
    assert.equal(kindOf(driver.submit('b', {}, { key: 'k', content: 'c' })), 'existing');
    assert.equal(kindOf(driver.submit('b', {}, { key: 'k', content: 'x' })), 'refused');
    driver.one({ op: 'retire', through: 1 });
    assert.equal(kindOf(driver.submit('b', {}, { key: 'k', content: 'x' })), 'created');
  });

  it('gives the same answers when the log is replayed over an archive that is ahead of it', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    const answers: string[] = [];
    const submit = (id: string, content: string): void => {
      answers.push(kindOf(driver.submit(id, {}, { key: 'k', content })));
    };
    submit('a', 'c');
    driver.finish('a', driver.assign('a', 'n1'));
    submit('a2', 'c');
    driver.one({ op: 'retire', through: 1 });
    submit('b', 'd');
    submit('b2', 'c');
    driver.finish('b', driver.assign('b', 'n1'));
    submit('b3', 'd');
    for (let at = 0; at < 300; at += 1) driver.run(`filler${at}`);
    driver.flushAll();
    assert.deepEqual(answers, ['created', 'existing', 'created', 'refused', 'existing']);

    const second = await replayed(driver);
    assert.equal(second.machine.stateHash(), driver.machine.stateHash());
    assert.deepEqual(
      second.results.flatMap((results) => results).filter((result) => result.kind === 'submitted'),
      driver.results.flatMap((results) => results).filter((result) => result.kind === 'submitted'),
    );
  });
});
