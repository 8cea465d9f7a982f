import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import * as boards from '../../src/web/ui/src/model/node-board.ts';
import type { NodeBoard, NodePhase } from '../../src/web/ui/src/model/node-board.ts';
import { node } from './tasks.ts';

const T0 = 1_800_000_000_000;

function board(...nodes: ReturnType<typeof node>[]): NodeBoard {
  return boards.withNodes(boards.EMPTY_BOARD, nodes, { stale: false, nowMs: T0 });
}

function phase(now: NodeBoard, id: string): NodePhase {
  const entry = now.entries.find((candidate) => candidate.view.id === id);
  return boards.phaseOf(entry ?? assert.fail(`no ${id}`));
}

describe('the board of nodes', () => {
  it('shows servers before workers, each in the order of their numbers', () => {
    const now = board(node('worker1'), node('server10'), node('server2'));
    assert.deepEqual(
      now.entries.map((entry) => entry.view.id),
      ['server2', 'server10', 'worker1'],
    );
  });

  it('keeps a node that is no longer reported, so that it can be started again', () => {
    const before = board(node('server1', { leader: true }), node('server2'));
    const now = boards.withNodes(before, [node('server2', { leader: true })], { stale: false, nowMs: T0 });
    assert.equal(phase(now, 'server1'), 'away');
    assert.equal(now.entries[0]?.view.leader, false);
  });

  it('shows a stop at once, before the master has noticed it', () => {
    const asked = boards.withIntent(board(node('server1')), 'server1', { want: 'stopped', atMs: T0 });
    assert.equal(phase(asked, 'server1'), 'stopping');
    const later = (status: 'ready' | 'down', nowMs: number): NodeBoard =>
      boards.withNodes(asked, [node('server1', { status })], { stale: false, nowMs });
    assert.equal(phase(later('ready', T0 + 2_000), 'server1'), 'stopping');
    assert.equal(phase(later('down', T0 + 4_000), 'server1'), 'stopped');
  });

  it('believes the master when a stopped node is ready again: somebody else started it', () => {
    const asked = boards.withIntent(board(node('server1')), 'server1', { want: 'stopped', atMs: T0 });
    const nowMs = T0 + boards.STOP_NOTICED_MS + 1;
    const now = boards.withNodes(asked, [node('server1')], { stale: false, nowMs });
    assert.equal(phase(now, 'server1'), 'up');
  });

  it('shows a start until the node is ready, but not for ever', () => {
    const down = board(node('worker1', { status: 'down' }));
    const asked = boards.withIntent(down, 'worker1', { want: 'running', atMs: T0 });
    assert.equal(phase(asked, 'worker1'), 'starting');
    const still = (nowMs: number): NodeBoard =>
      boards.withNodes(asked, [node('worker1', { status: 'down' })], { stale: false, nowMs });
    assert.equal(phase(still(T0 + 5_000), 'worker1'), 'starting');
    assert.equal(phase(still(T0 + boards.INTENT_MS_MAX + 1), 'worker1'), 'away');
    const ready = boards.withNodes(asked, [node('worker1')], { stale: false, nowMs: T0 + 900 });
    assert.equal(ready.entries[0]?.intent, null);
  });

  it('moves the crown as soon as a new master is known', () => {
    const before = board(node('server1', { leader: true }), node('server2'));
    const now = boards.withLeader(before, 'server2');
    assert.deepEqual(
      now.entries.map((entry) => entry.view.leader),
      [false, true],
    );
    assert.equal(boards.withLeader(now, 'server2'), now);
  });
});
