/**
 * Goal: a leader that can't commit, or not apply, as fast as it is asked refuses what its memory has no room for, keeps its lead
 * meanwhile, and does everything it accepted once it can. Whole nodes in virtual time (test/raft/mit/lab.ts).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProposeResult } from '../../../src/raft/consensus.ts';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { silentLogger } from '../../../src/raft/raft-logger.ts';
import { RaftNode } from '../../../src/raft/raft-node.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { MemoryNetwork } from '../../../src/raft/transport/memory-transport.ts';
import { Lab } from '../mit/lab.ts';
import type { LabServer } from '../mit/lab.ts';
import { ManualTimers } from './manual-timers.ts';
import { WordMachine } from './word-machine.ts';

const ALONE = 'server1' as NodeId;
const WORD_BYTES = 1_000;

/** Words that are asked for one after the other, and what becomes of each. */
class Asked {
  readonly results = new Map<string, ProposeResult<string>>();
  readonly #node: RaftNode<string>;
  #count = 0;

  constructor(node: RaftNode<string>) {
    this.#node = node;
  }

  ask(times: number): void {
    for (let n = 0; n < times; n++) {
      const word = `${this.#count++} `.padEnd(WORD_BYTES, 'x');
      void this.#node.propose(Buffer.from(word)).then((result) => this.results.set(word, result));
    }
  }

  /** Without an answer so far: they were accepted. */
  get waiting(): number {
    return this.#count - this.results.size;
  }

  outcomes(): readonly string[] {
    const limits = [...this.results.values()].map((result) =>
      result.kind === 'overloaded' ? result.limit : result.kind,
    );
    return [...new Set(limits)].sort();
  }

  wordsOf(kind: ProposeResult<string>['kind']): readonly string[] {
    return [...this.results].filter(([, result]) => result.kind === kind).map(([word]) => word);
  }
}

describe('a leader that can not commit', () => {
  const LIMIT = 20_000;
  /** The disks of the followers are silent, which answer heartbeats; or what is sent to them does not get there. */
  const obstacles: readonly [string, (lab: Lab, followers: readonly LabServer[]) => () => void][] = [
    [
      'because no follower’s disk answers',
      (_lab, followers) => {
        for (const { stall } of followers) stall.begin();
        return () => followers.forEach(({ stall }) => stall.end());
      },
    ],
    [
      'because no entries get through',
      (lab) => {
        lab.loses = (message) => message.kind === 'append';
        return () => (lab.loses = () => false);
      },
    ],
  ];
  for (const [why, obstruct] of obstacles) {
    it(`${why} refuses beyond uncommittedBytesMax, and commits all that it accepted when it can`, async () => {
      const lab = await Lab.start(3, 61, { uncommittedBytesMax: LIMIT, inflightBytesMax: 5_000 });
      const leader = await lab.checkOneLeader();
      await lab.one('before', 3);
      const { term } = leader.node!.status();
      const clear = obstruct(
        lab,
        lab.servers.filter((server) => server !== leader),
      );
      const asked = new Asked(leader.node!);
      for (let second = 0; second < 20; second++) {
        asked.ask(50);
        await lab.pass(1_000);
        const { firstIndex, lastIndex, commitIndex, role } = leader.node!.status();
        assert.equal(role, 'leader');
        const uncommitted = leader
          .node!.entries(firstIndex, lastIndex)
          .filter(({ index }) => index > commitIndex)
          .reduce((sum, entry) => sum + (entry.kind === 'command' ? entry.payload.byteLength : 0), 0);
        assert.ok(uncommitted <= LIMIT, `${uncommitted} bytes are kept`);
      }
      assert.deepEqual(asked.outcomes(), ['uncommittedBytesMax']);
      assert.ok(asked.waiting >= 0.8 * (LIMIT / WORD_BYTES), `${asked.waiting} were accepted`);
      clear();
      await lab.until('all that was accepted to be applied', () => asked.waiting === 0);
      const applied = asked.wordsOf('applied');
      assert.equal(applied.length + asked.wordsOf('overloaded').length, asked.results.size);
      await lab.until('the followers to have it', () => applied.every((word) => lab.countOf(word) === 3));
      for (const word of asked.wordsOf('overloaded')) assert.equal(lab.countOf(word), 0);
      asked.ask(1);
      await lab.until('the next to be taken', () => asked.waiting === 0);
      assert.equal(asked.wordsOf('applied').length, applied.length + 1);
      assert.equal(leader.node!.status().term, term);
      await lab.end();
    });
  }
});

describe('a leader whose state machine is slower than its log', () => {
  it('refuses when too much waits to be applied, and applies all that it accepted', async () => {
    const timers = new ManualTimers();
    const machine = new WordMachine();
    const network = new MemoryNetwork(timers);
    const node = await RaftNode.open<string>({
      ...{ id: ALONE, clusterId: 'test', bootstrap: { voters: [ALONE], learners: [] }, kv: new MemoryKv() },
      ...{ transport: network.transport(ALONE), machine, timers, random: () => 0, log: silentLogger },
      onFatal: (error) => assert.fail(String(error)),
      // After 16 entries the applier lets others have their turn.
      settings: { uncommittedBytesMax: 60_000, unappliedBytesMax: 40_000, applySliceMs: 0 },
    });
    node.start();
    const turn = async (): Promise<void> => {
      timers.turn();
      await new Promise((resolve) => setImmediate(resolve));
    };
    while (node.status().role !== 'leader') {
      timers.pass(10);
      await turn();
    }
    const asked = new Asked(node);
    let mostWaiting = 0;
    for (let n = 0; n < 100; n++) {
      asked.ask(50);
      await turn();
      mostWaiting = Math.max(mostWaiting, asked.waiting);
    }
    assert.deepEqual(asked.outcomes(), ['applied', 'unappliedBytesMax']);
    assert.ok(mostWaiting > 50 && mostWaiting <= 100, `${mostWaiting} waited at once`);
    while (asked.waiting > 0) await turn();
    assert.deepEqual(machine.words, asked.wordsOf('applied'));
    await node.crash();
  });
});
