/** Which node gets a task, and what is said where none does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CANDIDATE_ROWS_MAX, chooseNode, pressureOf } from '../../../src/scheduler/placement/placement.ts';
import type {
  Choice,
  Demand,
  PlacementNode,
  PlacementRules,
} from '../../../src/scheduler/placement/placement.ts';

function node(id: string, more: Partial<PlacementNode> = {}): PlacementNode {
  return {
    ...{ id, unable: null, isMaster: false, slots: 4, cpus: 4, memoryMb: 8_000, labels: {} },
    ...{
      cpu: 10,
      memory: 20,
      busy: 0,
      cpuReserved: 0,
      memoryReservedMb: 0,
      pressure: 0,
      speed: 1,
      lastPlaced: 0,
    },
    ...more,
  };
}

const ANY: Demand = { constraints: {}, cpu: 0, memoryMb: 0, avoid: null };
const RULES: PlacementRules = { leaderExecutes: 'fallback', fallbackOpen: true, held: new Set() };

function chosen(choice: Choice): string {
  return choice.kind === 'placed' ? choice.node : `blocked: ${choice.reason}`;
}

describe('placement', () => {
  it('takes the node with the lowest sum of load, memory, pressure and taken slots', () => {
    const nodes = [
      node('busy', { cpu: 80 }),
      node('full memory', { memory: 90 }),
      node('just given much', { pressure: 75 }),
      node('taken', { busy: 3 }),
      node('free', { busy: 1 }),
    ];
    assert.equal(chosen(chooseNode(nodes, ANY, RULES)), 'free');
  });

  it('takes the least recently used of equals, whatever their order', () => {
    const nodes = [node('a', { lastPlaced: 3 }), node('b', { lastPlaced: 1 }), node('c', { lastPlaced: 2 })];
    assert.equal(chosen(chooseNode(nodes, ANY, RULES)), 'b');
    assert.equal(chosen(chooseNode([...nodes].reverse(), ANY, RULES)), 'b');
    assert.equal(chosen(chooseNode([node('z'), node('y')], ANY, RULES)), 'y');
  });

  it('spreads a burst by what it has just given away', () => {
    const state = ['a', 'b', 'c'].map((id, at) => ({ ...node(id, { cpu: 5 * at, slots: 8 }) }));
    const counts: Record<string, number> = {};
    for (let turn = 1; turn <= 15; turn += 1) {
      const choice = chosen(chooseNode(state, ANY, RULES));
      counts[choice] = (counts[choice] ?? 0) + 1;
      const index = state.findIndex(({ id }) => id === choice);
      const taken = state[index];
      assert.ok(taken);
      state[index] = {
        ...taken,
        busy: taken.busy + 1,
        pressure: taken.pressure + pressureOf(ANY, taken.cpus, taken.memoryMb),
        lastPlaced: turn,
      };
    }
    assert.deepEqual(counts, { a: 5, b: 5, c: 5 });
  });

  it('keeps to labels, cores, memory and slots', () => {
    const nodes = [
      node('plain'),
      node('gpu', { labels: { gpu: '1' }, cpuReserved: 3, memoryReservedMb: 7_000 }),
    ];
    const gpu = { ...ANY, constraints: { gpu: '1' } };
    assert.equal(chosen(chooseNode(nodes, gpu, RULES)), 'gpu');
    assert.equal(chosen(chooseNode(nodes, { ...gpu, cpu: 1, memoryMb: 1_000 }, RULES)), 'gpu');
    assert.equal(chosen(chooseNode(nodes, { ...ANY, cpu: 2 }, RULES)), 'plain');
    assert.equal(chosen(chooseNode(nodes, { ...ANY, memoryMb: 1_001 }, RULES)), 'plain');
  });

  it('goes back to the node of a failure only when no other is free', () => {
    const again = { ...ANY, avoid: 'a' };
    assert.equal(chosen(chooseNode([node('a'), node('b', { cpu: 99, memory: 99 })], again, RULES)), 'b');
    assert.equal(chosen(chooseNode([node('a'), node('b', { busy: 4 })], again, RULES)), 'a');
  });

  it('prefers the faster node, as far as it is not that much fuller', () => {
    const fast = node('fast', { speed: 2 });
    assert.equal(chosen(chooseNode([node('slow', { cpu: 0 }), fast], ANY, RULES)), 'fast');
    const rather = { ...fast, cpu: 90, busy: 2 };
    assert.equal(chosen(chooseNode([node('slow', { cpu: 0 }), rather], ANY, RULES)), 'slow');
    // What counts is how much slower it is, not how fast all are.
    const same = [node('a', { speed: 3, cpu: 50 }), node('b', { speed: 3 })];
    const choice = chooseNode(same, ANY, RULES);
    assert.equal(chosen(choice), 'b');
    assert.deepEqual(choice.kind === 'placed' && choice.rows.map((row) => [row[0], row[5], row[9]]), [
      ['a', 70, 3],
      ['b', 30, 3],
    ]);
  });

  it('says in one sentence what is missing', () => {
    const cases: readonly (readonly [readonly PlacementNode[], Partial<Demand>, string])[] = [
      [[], {}, 'waits for a node: none is ready'],
      [[node('a', { unable: 'is draining' })], {}, 'waits for a node: none is ready'],
      [
        [node('a', { busy: 4 }), node('b', { busy: 2, slots: 2 })],
        {},
        'waits for a free slot: all 6 slots are taken',
      ],
      [[node('a', { busy: 1, slots: 1 })], {}, 'waits for a free slot: the only slot is taken'],
      [
        [node('a')],
        { constraints: { gpu: '1' } },
        'waits for a node with label gpu=1: none that is ready has it',
      ],
      [
        [node('a', { labels: { x: '1' } }), node('b', { labels: { y: '1' } })],
        { constraints: { x: '1', y: '1' } },
        'waits for a node that has all it asks for: none that is ready does',
      ],
      [[node('a')], { cpu: 64 }, 'waits for a node with 64 cores: the largest that is ready has 4'],
      [
        [node('a')],
        { memoryMb: 64_000 },
        'waits for a node with 64000 MiB: the largest that is ready has 8000',
      ],
      [
        [node('a', { memoryReservedMb: 7_000 })],
        { memoryMb: 2_000 },
        'waits for 2000 MiB on a: 7000 of 8000 MiB are reserved',
      ],
      [[node('a', { cpuReserved: 3 })], { cpu: 2 }, 'waits for 2 cores on a: 3 of 4 are reserved'],
    ];
    for (const [nodes, demand, reason] of cases) {
      assert.equal(chosen(chooseNode(nodes, { ...ANY, ...demand }, RULES)), `blocked: ${reason}`);
    }
  });

  it('keeps the node nearest to having room for a task that waits for it, so that small ones do not starve it', () => {
    const nodes = [node('a', { memoryReservedMb: 7_000 }), node('b', { memoryReservedMb: 3_000 })];
    const big = chooseNode(nodes, { ...ANY, memoryMb: 6_000 }, RULES);
    assert.equal(big.kind === 'blocked' && big.hold, 'b');
    const held = { ...RULES, held: new Set(['b']) };
    assert.equal(chosen(chooseNode(nodes, ANY, held)), 'a');
    assert.equal(
      chosen(chooseNode([node('b')], ANY, held)),
      'blocked: waits for its turn: free slots are kept for a task that comes first',
    );
  });

  it('keeps the master out as long as another node is able, busy or not, unless told otherwise', () => {
    const master = node('m', { isMaster: true });
    const busy = node('w', { busy: 4 });
    const rules = (
      leaderExecutes: PlacementRules['leaderExecutes'],
      fallbackOpen = true,
    ): PlacementRules => ({
      ...RULES,
      leaderExecutes,
      fallbackOpen,
    });
    assert.equal(
      chosen(chooseNode([master, busy], ANY, rules('fallback'))),
      'blocked: waits for a free slot: all 4 slots are taken',
    );
    assert.equal(chosen(chooseNode([master, busy], ANY, rules('always'))), 'm');
    assert.equal(chosen(chooseNode([master], ANY, rules('fallback'))), 'm');
    assert.equal(
      chosen(chooseNode([master], ANY, rules('fallback', false))),
      'blocked: waits for workers to register',
    );
    assert.equal(
      chosen(chooseNode([master], ANY, rules('never'))),
      'blocked: waits for a node: only the master is ready, and it runs no tasks',
    );
    // The other one is not able to run this one.
    const gpu = { ...ANY, constraints: { gpu: '1' } };
    const gpuMaster = node('m', { isMaster: true, labels: { gpu: '1' } });
    assert.equal(chosen(chooseNode([gpuMaster, node('w')], gpu, rules('fallback'))), 'm');
  });

  it('records what it knew: every candidate of a few, the best of many', () => {
    const few = chooseNode(
      [node('a', { cpu: 12.345 }), node('b', { unable: 'is draining' }), node('m', { isMaster: true })],
      ANY,
      RULES,
    );
    assert.deepEqual(few, {
      ...{ kind: 'placed', node: 'a' },
      reason: 'the only free one of 3 nodes',
      rows: [
        ['a', 12.3, 20, 0, 4, 32.3, null, 0, 0, 1],
        ['b', 10, 20, 0, 4, null, 'is draining', 0, 0, 1],
        ['m', 10, 20, 0, 4, null, 'is the master', 0, 0, 1],
      ],
    });
    const many = chooseNode(
      Array.from({ length: 100 }, (_, at) => node(`n${at}`, { lastPlaced: 100 - at })),
      ANY,
      RULES,
    );
    assert.ok(many.kind === 'placed');
    assert.equal(many.node, 'n99');
    assert.equal(many.rows.length, CANDIDATE_ROWS_MAX);
    assert.ok(many.rows.some(([id]) => id === 'n99'));
    assert.equal(many.reason, 'lowest score of 100 free nodes');
  });
});
