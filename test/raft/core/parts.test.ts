/** The parts of the core against simple models, on random inputs from fixed seeds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asNodeId, asProposalId, asTerm } from '../../../src/raft/core/ids.ts';
import { Inflights } from '../../../src/raft/core/inflights.ts';
import { RaftLog } from '../../../src/raft/core/log.ts';
import { PendingProposals } from '../../../src/raft/core/pending-proposals.ts';
import { majority, reachedByMajority } from '../../../src/raft/core/quorum.ts';
import { VoteTally } from '../../../src/raft/core/votes.ts';
import { command, ids, logOfTerms, meta, voters } from './harness.ts';

/** A small generator of whole numbers, so that every run sees the same inputs. */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
const two = voters(ids(2));

describe('quorum', () => {
  it('a majority is more than half', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majority), [1, 2, 2, 3, 3, 4, 4]);
  });

  it('what a majority has reached agrees with counting, for random match indexes', () => {
    const random = generator(1);
    for (let run = 0; run < 2000; run++) {
      const names = ids(1 + random(7));
      const match = new Map(names.map((id) => [id, random(10)]));
      const reached = reachedByMajority(names, (id) => match.get(id) ?? 0);
      const havers = (index: number): number => names.filter((id) => (match.get(id) ?? 0) >= index).length;
      assert.ok(havers(reached) >= majority(names.length));
      assert.ok(havers(reached + 1) < majority(names.length));
    }
  });

  it('without voters nothing is reached', () => {
    assert.equal(
      reachedByMajority([], () => 9),
      0,
    );
  });
});

describe('vote tally', () => {
  it('first answers count, answers of others than voters do not', () => {
    const names = ids(3);
    const tally = new VoteTally();
    tally.record(names[0]!, true);
    tally.record(asNodeId('other'), true);
    assert.equal(tally.result(names), 'open');
    tally.record(names[1]!, false);
    tally.record(names[1]!, true);
    assert.equal(tally.result(names), 'open');
    tally.record(names[2]!, false);
    assert.equal(tally.result(names), 'lost');
  });

  it('of no voters is never won', () => {
    const tally = new VoteTally();
    tally.record(asNodeId('a'), true);
    assert.notEqual(tally.result([]), 'won');
  });
});

describe('log', () => {
  it('finds the last entry of at most a term like a linear search does', () => {
    const random = generator(2);
    for (let run = 0; run < 500; run++) {
      const terms: number[] = [];
      while (terms.length < 1 + random(30)) terms.push((terms.at(-1) ?? 1) + random(2));
      const first = 1 + random(5);
      const log = new RaftLog(meta(first - 1, first === 1 ? 0 : 1, two), logOfTerms(terms, first));
      const index = random(40);
      const term = random(20);
      let expected = Math.min(index, log.lastIndex);
      while (expected >= first && (log.term(asLogIndex(expected)) ?? 0) > term) expected--;
      expected = Math.max(expected, Math.min(index, first - 1));
      assert.equal(log.lastAtMost(asLogIndex(index), asTerm(term)), expected);
    }
  });

  it('appends, truncates and compacts like an array', () => {
    const random = generator(3);
    for (let run = 0; run < 200; run++) {
      const log = new RaftLog(meta(0, 0, two), []);
      let model: { index: number; term: number }[] = [];
      let first = 1;
      let last = 0;
      let term = 1;
      for (let step = 0; step < 50; step++) {
        const action = random(4);
        if (action < 2) {
          const count = random(5);
          term += random(2);
          const entries = Array.from({ length: count }, (_, i) => command(last + 1 + i, term));
          log.append(entries);
          model.push(...entries.map((entry) => ({ index: entry.index, term: entry.term })));
          last += count;
        } else if (action === 2 && last > log.snapshotIndex) {
          const from = log.snapshotIndex + 1 + random(last - log.snapshotIndex);
          log.truncate(asLogIndex(from));
          model = model.filter((entry) => entry.index < from);
          last = from - 1;
        } else if (last > log.snapshotIndex) {
          const index = log.snapshotIndex + 1 + random(last - log.snapshotIndex);
          const through = random(index + 1);
          const snapshotTerm = log.term(asLogIndex(index));
          log.compact(meta(index, snapshotTerm ?? 0, two), asLogIndex(through));
          first = Math.max(first, through + 1);
          model = model.filter((entry) => entry.index >= first);
        }
        assert.deepEqual([log.firstIndex, log.lastIndex], [first, last]);
        const kept = log.range(asLogIndex(0), asLogIndex(10_000));
        assert.deepEqual(
          kept.map((entry) => ({ index: entry.index, term: entry.term })),
          model,
        );
      }
    }
  });

  it('hands out copies: what a receiver does to an array does not reach the log', () => {
    const log = new RaftLog(meta(0, 0, two), logOfTerms([1, 1]));
    log.range(asLogIndex(1), asLogIndex(2)).pop();
    assert.equal(log.lastIndex, 2);
  });
});

describe('pipeline window', () => {
  it('frees what is answered and counts bytes like a list does', () => {
    const random = generator(4);
    const window = new Inflights(50, 2000);
    let model: { last: number; bytes: number }[] = [];
    let last = 0;
    for (let step = 0; step < 5000; step++) {
      if (random(2) === 0 && !window.full) {
        last += 1 + random(3);
        const bytes = random(100);
        window.add(asLogIndex(last), bytes);
        model.push({ last, bytes });
      } else {
        const through = Math.max(0, last - random(60));
        window.freeThrough(asLogIndex(through));
        model = model.filter((sent) => sent.last > through);
      }
      assert.equal(window.count, model.length);
      const total = model.reduce((sum, sent) => sum + sent.bytes, 0);
      assert.equal(window.full, model.length >= 50 || total >= 2000);
    }
  });
});

describe('pending proposals', () => {
  it('gives back what is not committed, in order, without entries nobody proposed', () => {
    const pending = new PendingProposals(asLogIndex(5));
    for (const id of [null, 1, 2, null, 3]) pending.add(id === null ? null : asProposalId(id));
    pending.committed(asLogIndex(4));
    pending.committed(asLogIndex(6));
    assert.deepEqual(pending.takeAll(), [2, 3]);
    assert.deepEqual(pending.takeAll(), []);
  });
});
