/**
 * Members that come and go, with real LevelDB folders and sockets. Nobody is told an address but by the configuration; what
 * may follow what is tested with the core (test/raft/core/membership.test.ts).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Configuration, NodeId } from '../../../src/raft/core/types.ts';
import type { MembershipResult } from '../../../src/raft/membership.ts';
import { PATIENT, say, sayAll, TestCluster, until } from './test-cluster.ts';
import type { Member } from './test-cluster.ts';

const S4 = 'server4' as NodeId;

/** As long as a wrong implementation would need to be found out. */
async function withCluster(
  count: number,
  settings: Parameters<typeof TestCluster.start>[1],
  test: (cluster: TestCluster) => Promise<void>,
): Promise<void> {
  const cluster = await TestCluster.startAddressed(count, settings);
  try {
    await test(cluster);
  } finally {
    await cluster.close();
  }
}

async function add(cluster: TestCluster, member: Member, learner = false): Promise<MembershipResult> {
  return whenSettled(async () => {
    const { node } = await cluster.leader();
    return node.addMember({ id: member.id, address: cluster.addressOf(member), learner });
  });
}

/** A leader that has just been elected refuses until it has committed. */
async function whenSettled(change: () => Promise<MembershipResult>): Promise<MembershipResult> {
  return until('a leader that has committed', async () => {
    const result = await change();
    return result.kind === 'refused' && result.message.includes('not committed in its term')
      ? undefined
      : result;
  });
}

async function remove(cluster: TestCluster, id: NodeId): Promise<MembershipResult> {
  return whenSettled(async () => (await cluster.leader()).node.removeMember(id));
}

function configOf(result: MembershipResult): Configuration {
  if (result.kind !== 'done') throw new assert.AssertionError({ message: JSON.stringify(result) });
  return result.config;
}

function refusal(result: MembershipResult): { readonly reason: string; readonly message: string } {
  if (result.kind !== 'refused') throw new assert.AssertionError({ message: JSON.stringify(result) });
  return result;
}

const words = (cluster: TestCluster, count: number) => () =>
  cluster.running().every(({ machine }) => machine.words.length === count);

describe('adding a server', () => {
  it('brings it up to date, gives it a vote, and all know where it is', () =>
    withCluster(3, {}, async (cluster) => {
      await sayAll(cluster, ['a', 'b', 'c']);
      const fourth = await cluster.addNewcomer(S4);
      const config = configOf(await add(cluster, fourth));
      assert.deepEqual(config.voters, ['server1', 'server2', 'server3', 'server4']);
      assert.equal(config.addresses?.[S4], cluster.addressOf(fourth));
      await until('the new one has all', words(cluster, 3));
      // A quorum of four is three: with one more gone, the new one's vote is needed.
      const [one] = cluster.running().filter(({ node }) => node.status().role !== 'leader');
      assert.ok(one !== undefined);
      await cluster.crash(one);
      assert.match(await say(cluster, 'd'), /^d@/);
      // Its own folder tells it who the others are.
      await cluster.crash(fourth);
      await cluster.open(fourth, []);
      await until('it is back', () => fourth.machine.words.length === 4);
    }));

  it('by a snapshot where the log begins later, while others go on', () =>
    withCluster(3, { trailingEntries: 1, trailingBytes: 1 }, async (cluster) => {
      await sayAll(
        cluster,
        Array.from({ length: 300 }, (_, n) => `word${n}`),
      );
      await until('all have it', words(cluster, 300));
      for (const { node } of cluster.running()) await node.takeSnapshot();
      const fourth = await cluster.addNewcomer(S4);
      configOf(await add(cluster, fourth));
      await until('the new one has all', words(cluster, 300));
      assert.ok(fourth.node !== null && fourth.node.status().snapshotIndex >= 300);
    }));

  it('is the same done twice, at once or later; a learner gets its vote by asking again', () =>
    withCluster(3, {}, async (cluster) => {
      const fourth = await cluster.addNewcomer(S4);
      const twice = await Promise.all([add(cluster, fourth, true), add(cluster, fourth, true)]);
      for (const result of twice) assert.deepEqual(configOf(result).learners, [S4]);
      assert.equal((await cluster.leader()).node.status().config.voters.length, 3);
      assert.deepEqual(configOf(await add(cluster, fourth)).learners, []);
      assert.equal(configOf(await add(cluster, fourth)).voters.length, 4);
    }));

  it('is refused where nobody answers, somebody else does, or id or address are taken', () =>
    withCluster(3, {}, async (cluster) => {
      const { node, id } = await cluster.leader();
      const { lastIndex } = node.status();
      const other = cluster.members.find((member) => member.id !== id);
      assert.ok(other !== undefined);
      const fourth = await cluster.addMember(S4);
      const silent = refusal(await add(cluster, fourth));
      assert.equal(silent.reason, 'not_reachable');
      await cluster.open(fourth, []);
      const address = cluster.addressOf(fourth);
      const cases: readonly [NodeId, string, string, RegExp][] = [
        ['server5' as NodeId, address, 'not_reachable', /it looks for server5, this is server4/],
        [other.id, address, 'used_id', /is a voter already, at 127/],
        [S4, cluster.addressOf(other), 'used_address', new RegExp(`${other.id}'s address`)],
        [S4, '127.0.0.1:1', 'not_reachable', /no server server4 answers at 127.0.0.1:1: .*ECONNREFUSED/],
        [S4, 'nowhere', 'not_reachable', /is not HOST:PORT/],
      ];
      for (const [newId, where, reason, message] of cases) {
        const result = refusal(await node.addMember({ id: newId, address: where, learner: false }));
        assert.equal(result.reason, reason);
        assert.match(result.message, message);
      }
      assert.equal(node.status().lastIndex, lastIndex, 'nothing of it was logged');
    }));

  it('one at a time; and a server that never catches up stays a learner', () =>
    withCluster(3, { catchUpMs: 600 }, async (cluster) => {
      const fourth = await cluster.addNewcomer(S4);
      const first = configOf(await add(cluster, fourth, true));
      assert.deepEqual(first.learners, [S4]);
      await cluster.crash(fourth);
      await say(cluster, 'it misses this');
      const promoting = add(cluster, fourth);
      const { node } = await cluster.leader();
      const busy = refusal(await node.removeMember(S4));
      assert.equal(busy.reason, 'not_now');
      assert.match(busy.message, /server4 \(.*\) is being added: one membership change at a time/);
      const late = refusal(await promoting);
      assert.equal(late.reason, 'not_caught_up');
      assert.match(late.message, /still lacks \d+ entries after 0.6 s: it stays a learner/);
      assert.deepEqual(node.status().config.learners, [S4]);
      await cluster.openNewcomer(fourth);
      const done = await until('it gets its vote', async () => {
        const result = await add(cluster, fourth);
        return result.kind === 'done' ? result : undefined;
      });
      assert.equal(configOf(done).voters.length, 4);
    }));

  it('asked of a follower says who leads', () =>
    withCluster(3, {}, async (cluster) => {
      const leader = await cluster.leader();
      const follower = cluster.running().find(({ id }) => id !== leader.id);
      const result = await follower?.node.addMember({ id: S4, address: '127.0.0.1:1', learner: false });
      assert.deepEqual(result, { kind: 'notLeader', leader: leader.id });
    }));
});

describe('removing a server', () => {
  it('tells it, keeps it from coming back under its id, and the rest goes on undisturbed', () =>
    withCluster(3, PATIENT, async (cluster) => {
      await say(cluster, 'before');
      const leader = await cluster.leader();
      const gone = cluster.members.find(({ id }) => id !== leader.id);
      assert.ok(gone !== undefined);
      const { term } = leader.node.status();
      const config = configOf(await remove(cluster, gone.id));
      assert.deepEqual([config.voters.length, config.removed], [2, [gone.id]]);
      await until('it is told', () => cluster.removed.includes(gone.id));
      // It was down when it was removed, or did not end: it keeps asking, and nobody listens.
      await until('the others turn it away', () => cluster.removed.length >= 4);
      for (let n = 0; n < 30; n++) await say(cluster, `word${n}`);
      assert.equal((await cluster.leader()).node.status().term, term);
      const again = refusal(await add(cluster, gone));
      assert.equal(again.reason, 'used_id');
      assert.match(again.message, /was removed from the cluster, and an id is never used again/);
      assert.equal((await remove(cluster, gone.id)).kind, 'done', 'twice is the same as once');
    }));

  it('that leads: it steps down once that is committed, and another takes over', () =>
    withCluster(3, {}, async (cluster) => {
      await say(cluster, 'before');
      const first = await cluster.leader();
      configOf(await remove(cluster, first.id));
      await until('it knows', () => cluster.removed.includes(first.id));
      assert.notEqual(first.node.status().role, 'leader');
      await cluster.stop(first);
      const second = await cluster.leader();
      assert.notEqual(second.id, first.id);
      assert.deepEqual(second.node.status().config.removed, [first.id]);
      await say(cluster, 'after');
    }));

  it('that was down at the time learns it when it comes back', () =>
    withCluster(3, {}, async (cluster) => {
      await say(cluster, 'before');
      const leader = await cluster.leader();
      const gone = cluster.members.find(({ id }) => id !== leader.id);
      assert.ok(gone !== undefined);
      await cluster.crash(gone);
      configOf(await remove(cluster, gone.id));
      await cluster.open(gone);
      await until('it is told', () => cluster.removed.includes(gone.id));
    }));

  it('is refused where the rest would have no majority within reach, and where nobody would be left', () =>
    withCluster(3, { contactMs: 500 }, async (cluster) => {
      const leader = await cluster.leader();
      const [down, up] = cluster.members.filter(({ id }) => id !== leader.id);
      assert.ok(down !== undefined && up !== undefined);
      await cluster.crash(down);
      // Though it was heard a moment ago.
      const result = refusal(await leader.node.removeMember(up.id));
      assert.equal(result.reason, 'would_lose_quorum');
      assert.match(result.message, /would have 2 voters and need 2 of them, but only 1 can be reached/);
      assert.match(result.message, new RegExp(`${down.id} cannot`));
      const stranger = refusal(await leader.node.removeMember('server9' as NodeId));
      assert.equal(stranger.reason, 'no_member');
      configOf(await leader.node.removeMember(down.id));
      configOf(await leader.node.removeMember(up.id));
      assert.equal(refusal(await leader.node.removeMember(leader.id)).reason, 'last_voter');
      assert.match(await say(cluster, 'alone'), /^alone@/);
    }));
});

describe('five servers, two of them down', () => {
  it('take in a new one (its vote is one of four needed), or lose the dead ones first', () =>
    withCluster(5, { contactMs: 500, ...PATIENT }, async (cluster) => {
      await say(cluster, 'before');
      const leader = await cluster.leader();
      const [deadOne, deadTwo] = cluster.members.filter(({ id }) => id !== leader.id);
      assert.ok(deadOne !== undefined && deadTwo !== undefined);
      await cluster.crash(deadOne);
      await cluster.crash(deadTwo);
      await say(cluster, 'three of five');
      const sixth = await cluster.addNewcomer('server6' as NodeId);
      assert.equal(configOf(await add(cluster, sixth)).voters.length, 6);
      await say(cluster, 'four of six');
      assert.equal(configOf(await remove(cluster, deadOne.id)).voters.length, 5);
      assert.equal(configOf(await remove(cluster, deadTwo.id)).voters.length, 4);
      await say(cluster, 'four of four');
      assert.equal((await cluster.leader()).id, leader.id, 'nobody else had to lead');
      await until('the same words everywhere', words(cluster, 4));
    }));
});

describe('addresses', () => {
  it('that a first configuration had none of are written down by the leader, and survive a restart', async () => {
    const cluster = await TestCluster.start(3);
    try {
      await say(cluster, 'old');
      for (const member of cluster.members) await cluster.stop(member);
      cluster.addresses = Object.fromEntries(cluster.members.map((m) => [m.id, cluster.addressOf(m)]));
      for (const member of cluster.members) await cluster.open(member);
      const { node } = await cluster.leader();
      await until('they are written down', () => node.status().config.addresses !== undefined);
      assert.deepEqual(node.status().config.addresses, cluster.addresses);
    } finally {
      await cluster.close();
    }
  });
});
