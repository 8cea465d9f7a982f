/**
 * Servers of two versions in one cluster: what only the newer one knows gets into the log when all know it, and a server
 * that meets what it does not know ends, instead of going on with another state than the others.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Op } from '../../src/scheduler/state/ops.ts';
import {
  isUnderstoodAt,
  OP_VERSION_FIRST,
  OP_VERSION_NEWEST,
} from '../../src/scheduler/state/op-versions.ts';
import { TaskMachine } from '../../src/scheduler/task-machine.ts';
import { MachineDriver, restoreMachine, taskResult } from './machine-driver.ts';
import { MemoryKv } from './memory-kv.ts';
import { TestCluster } from './test-cluster.ts';

describe('the version of what is in the log', () => {
  it('is raised once every server was seen to know it, and never goes back', async () => {
    const test = await TestCluster.leading();
    assert.equal(test.machine.state.version, OP_VERSION_FIRST);
    test.consensus.version = 2;
    await test.clock.advance(200);
    assert.equal(test.machine.state.version, 2);
    const { proposals } = test.consensus;
    test.consensus.version = 1;
    await test.clock.advance(1_000);
    assert.equal(test.machine.state.version, 2);
    assert.equal(test.consensus.proposals, proposals, 'proposed once');
  });

  it('makes losses count, and the count is in the snapshot', async () => {
    const driver = await MachineDriver.create();
    driver.one({ op: 'version', version: 2 });
    driver.nodeUp('n1');
    driver.submit('a');
    driver.one({ op: 'lost', task: 'a', token: driver.assign('a', 'n1'), reason: 'test' });
    const other = new TaskMachine();
    await restoreMachine(other, driver.index, driver.term, await driver.snapshot(), new MemoryKv());
    assert.equal(other.state.tasks.get('a')?.losses, 1);
  });

  it('is not raised above what this program knows', async () => {
    const test = await TestCluster.leading();
    test.consensus.version = OP_VERSION_NEWEST + 5;
    await test.clock.advance(200);
    assert.equal(test.machine.state.version, OP_VERSION_NEWEST);
  });

  it('is in the snapshot, and one that is too new is refused with the way out', async () => {
    const driver = await MachineDriver.create();
    driver.one({ op: 'version', version: 2 });
    const chunks = await driver.snapshot();
    const other = new TaskMachine();
    await restoreMachine(other, driver.index, driver.term, chunks, new MemoryKv());
    assert.equal(other.state.version, 2);
    assert.equal(other.stateHash(), driver.machine.stateHash());
    const text = new TextDecoder().decode(chunks[0]).replace('"version":2', '"version":3');
    await assert.rejects(
      restoreMachine(other, driver.index, driver.term, [new TextEncoder().encode(text)], new MemoryKv()),
      /operations of version 3, this program knows up to 2: start a newer version/,
    );
  });

  it('decides what may be proposed', () => {
    assert.ok(isUnderstoodAt(1, { op: 'pause', paused: true }));
    assert.ok(isUnderstoodAt(1, { op: 'version', version: 2 }), 'this one is proposed once all know it');
    const attempt = { task: 'a', token: 1 };
    assert.ok(!isUnderstoodAt(1, { op: 'supersede', ...attempt }));
    assert.ok(isUnderstoodAt(1, { op: 'release', ...attempt, reason: 'r' }));
    assert.ok(
      !isUnderstoodAt(1, { op: 'release', ...attempt, reason: 'r', fault: true }),
      'a new field of an old op',
    );
    const ending = { outcome: 'succeeded', reason: null, runMs: 1, result: taskResult() } as const;
    assert.ok(isUnderstoodAt(1, { op: 'finish', ...attempt, ...ending }));
    assert.ok(!isUnderstoodAt(1, { op: 'finish', ...attempt, ...ending, contents: {} }), 'and another');
  });

  it('is needed: an operation or version that is not known ends the server, and changes nothing', async () => {
    const driver = await MachineDriver.create();
    driver.submit('a');
    const before = driver.machine.stateHash();
    for (const op of [
      { op: 'teleport', task: 'a' } as unknown as Op,
      { op: 'version', version: 99 } as const,
    ]) {
      assert.throws(() => driver.apply(op), {
        code: 'UNKNOWN_OP',
        message: /entry \d+ of the log has .*(teleport|version 99).*start a newer version/,
      });
    }
    assert.equal(driver.machine.stateHash(), before);
  });
});
