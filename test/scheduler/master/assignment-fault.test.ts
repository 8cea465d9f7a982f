/** The fault that stops a master when it has taken in a task and found its node, and has told nobody. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestCluster } from '../test-cluster.ts';

describe('the armed stop at an assignment', () => {
  it('comes after the task was accepted, and before the assignment is proposed or the worker told', async () => {
    const reached: string[] = [];
    const fault = {
      stopsAtAssignment: true,
      assignmentReached(): void {
        reached.push(test.machine.state.tasks.counts().queued === 1 ? 'accepted' : 'not accepted');
        this.stopsAtAssignment = false;
      },
    };
    const test = await TestCluster.leading({ fault });
    const worker = await test.worker('worker1', { slots: 1 });
    await test.clock.advance(100);
    test.consensus.held = false;
    const id = await test.submit();
    assert.deepEqual(reached, ['accepted']);
    assert.equal(test.task(id).status, 'queued');
    assert.equal(worker.runs.length, 0);
  });

  it('waits for a task that gets a node, and changes nothing while it is not armed', async () => {
    let reached = 0;
    const fault = { stopsAtAssignment: true, assignmentReached: (): void => void (reached += 1) };
    const test = await TestCluster.leading({ fault, leaderExecutes: 'never' });
    await test.submit({ constraints: { gpu: 'yes' } });
    await test.clock.advance(1_000);
    assert.equal(reached, 0);
    fault.stopsAtAssignment = false;
    const worker = await test.worker('worker1');
    await test.clock.advance(100);
    const id = await test.submit();
    assert.equal(worker.lastRun().task, id);
    assert.equal(reached, 0);
  });
});
