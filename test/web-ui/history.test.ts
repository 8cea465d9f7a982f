/** The curves of the last minutes: which samples are kept, and what is drawn from them. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import * as histories from '../../src/web/ui/src/model/history.ts';
import type { History } from '../../src/web/ui/src/model/history.ts';
import type { Counts } from '../../src/web/ui/src/model/task-list.ts';
import { harness } from './harness.ts';
import { node, task } from './tasks.ts';

const T0 = 1_800_000_000_000;

function history(...samples: readonly (readonly [atMs: number, counts: Counts])[]): History {
  return samples.reduce<History>(
    (before, [atMs, counts]) => histories.withSample(before, { atMs: T0 + atMs, nodes: [], counts }),
    [],
  );
}

describe('the history of the last minutes', () => {
  it('forgets what is older, and stays small', () => {
    let now: History = [];
    for (let at = 0; at < 1_000; at += 1) {
      now = histories.withSample(now, { atMs: T0 + at * 2_000, nodes: [node('worker1')], counts: {} });
    }
    assert.ok(now.length <= 200);
    assert.ok((now[0]?.atMs ?? 0) > T0 + 999 * 2_000 - histories.HISTORY_MS);
  });

  it('has a gap in the curve of a node that was away', () => {
    let now: History = [];
    const statuses = ['ready', 'down', 'ready'] as const;
    statuses.forEach((status, at) => {
      const nodes = [node('worker1', { status, cpu: 10 + at }), node('server2', { cpu: null })];
      now = histories.withSample(now, { atMs: T0 + at * 2_000, nodes, counts: {} });
    });
    assert.deepEqual(histories.nodeCurves(now, 'cpu'), [{ label: 'worker1', values: [10, null, 12] }]);
    assert.deepEqual(
      histories.nodeCurves(now, 'memory').map(({ label }) => label),
      ['server2', 'worker1'],
    );
  });

  it('counts the payloads a second over some seconds', () => {
    const now = history(
      [0, { queued: 10 }],
      [5_000, { queued: 10, succeeded: 20 }],
      [10_000, { running: 30, succeeded: 40, failed: 10 }],
      [15_000, { succeeded: 80 }],
    );
    assert.deepEqual(histories.rates(now, 'finished'), [null, 4, 5, 6]);
    assert.equal(histories.currentRate(now, 'submitted'), 5);
  });

  it('does not count backwards where retention removes payloads', () => {
    const now = history([0, { succeeded: 500 }], [5_000, { succeeded: 100 }]);
    assert.equal(histories.currentRate(now, 'finished'), 0);
    assert.equal(histories.currentRate(history([0, {}]), 'finished'), null);
  });

  it('writes small rates with a digit behind the point', () => {
    assert.deepEqual([null, 0, 0.44, 9.96, 212.4].map(histories.rateText), ['–', '0', '0.4', '10.0', '212']);
  });

  it('is kept while the page is open, whatever is looked at', async () => {
    const { clock, state } = await harness({ tasks: [task(1)] });
    await clock.pass(10_000);
    assert.ok(state().history.length >= 4, String(state().history.length));
    assert.deepEqual(state().history.at(-1)?.cpu, { server1: 10, server2: 10, server3: 10, worker1: 10 });
    assert.equal(state().history.at(-1)?.submitted, 1);
  });
});
