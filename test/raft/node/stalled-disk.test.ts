/**
 * Goal: a disk that is silent (it fails nothing, it does not answer) costs the cluster no more than its server. Whole nodes in
 * virtual time (test/raft/mit/lab.ts).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RAFT_DEFAULTS } from '../../../src/raft/raft-settings.ts';
import { Lab } from '../mit/lab.ts';

/** As long as a leader's own disk may be silent (core/leading.ts). */
const STALL_MS = 3 * RAFT_DEFAULTS.electionMs;

describe('a leader whose own disk does not answer', () => {
  it('steps down although its followers answer, another takes over, and it follows when the disk is back', async () => {
    const lab = await Lab.start(3, 71);
    const first = await lab.checkOneLeader();
    await lab.one('before', 3);
    const { term } = first.node!.status();
    first.stall.begin();
    const stalledAtMs = lab.nowMs;
    // It waits for a disk only while it has something to write.
    assert.notEqual(lab.begin('under way'), null);
    await lab.until('it to give up', () => first.node!.status().role !== 'leader');
    const tookMs = lab.nowMs - stalledAtMs;
    assert.ok(tookMs >= STALL_MS && tookMs <= STALL_MS + RAFT_DEFAULTS.electionMs, `${tookMs} ms`);
    const second = await lab.checkOneLeader();
    assert.notEqual(second, first);
    assert.ok(second.node!.status().term > term);
    // Two disks are a majority: what the first had sent before its own disk answered counts (thesis §10.2.1).
    await lab.one('meanwhile', 2);
    assert.equal(lab.countOf('under way'), 2);
    assert.ok(
      !first.machine.words.includes('meanwhile'),
      'nothing is applied that its own log does not hold',
    );
    first.stall.end();
    await lab.one('after', 3);
    assert.equal(lab.countOf('meanwhile'), 3);
    assert.deepEqual(first.machine.words, second.machine.words);
    await lab.end();
  });

  it('keeps the lead where the disk is slow, but answers in time', async () => {
    const lab = await Lab.start(3, 72);
    const leader = await lab.checkOneLeader();
    await lab.one('before', 3);
    const { term } = leader.node!.status();
    for (let n = 0; n < 10; n++) {
      leader.stall.begin();
      lab.begin(`slow ${n}`);
      await lab.pass(STALL_MS - 50);
      leader.stall.end();
      await lab.pass(20);
      assert.equal(lab.countOf(`slow ${n}`), 3);
    }
    assert.deepEqual([leader.node!.status().role, leader.node!.status().term], ['leader', term]);
    await lab.end();
  });

  it('alone keeps the lead: there is nobody to take it', async () => {
    const lab = await Lab.start(1, 73);
    const leader = await lab.checkOneLeader();
    leader.stall.begin();
    lab.begin('patience');
    await lab.pass(10 * STALL_MS);
    assert.equal(leader.node!.status().role, 'leader');
    assert.equal(lab.countOf('patience'), 0, 'not before it is durable');
    leader.stall.end();
    await lab.until('it to be applied', () => lab.countOf('patience') === 1);
    await lab.end();
  });
});

describe('a follower whose disk does not answer', () => {
  it('delays nobody, answers for nothing it has not written, and catches up', async () => {
    const lab = await Lab.start(3, 74);
    const leader = await lab.checkOneLeader();
    await lab.one('before', 3);
    const { term } = leader.node!.status();
    const slow = lab.servers.find((server) => server !== leader)!;
    slow.stall.begin();
    for (let n = 0; n < 50; n++) await lab.one(`word ${n}`, 2, false);
    assert.equal(slow.machine.words.includes('word 0'), false);
    assert.ok(leader.node!.status().peers.get(slow.id)!.matchIndex < leader.node!.status().commitIndex - 40);
    slow.stall.end();
    await lab.until('it to have all', () => slow.machine.words.includes('word 49'));
    assert.equal(leader.node!.status().term, term);
    await lab.end();
  });
});
