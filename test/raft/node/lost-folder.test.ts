/**
 * Goal: a server that lost its data folder and is started again under its old id takes no part: it has forgotten whom it voted for
 * and what it acknowledged. Whoever knew it keeps it out, and it ends and says why. Servers that are merely new get in. Real LevelDB
 * folders and sockets.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { FolderReplacedError } from '../../../src/raft/storage/storage-errors.ts';
import { say, TestCluster, until } from './test-cluster.ts';
import type { Member } from './test-cluster.ts';

async function withCluster(count: number, test: (cluster: TestCluster) => Promise<void>): Promise<void> {
  const cluster = await TestCluster.startAddressed(count);
  try {
    await test(cluster);
  } finally {
    await cluster.close();
  }
}

/** It gives up by itself; returns what it says. */
async function ended(cluster: TestCluster, member: Member): Promise<string> {
  const error = await until(`${member.id} to give up`, () => cluster.fatal.shift());
  assert.ok(error instanceof FolderReplacedError, String(error));
  await cluster.crash(member);
  return error.message;
}

function followersOf(cluster: TestCluster, leader: NodeId): readonly Member[] {
  return cluster.members.filter(({ id }) => id !== leader);
}

/** Each has a connection from each other one, and has taken note of its folder. */
async function allKnown(cluster: TestCluster): Promise<void> {
  await until('everybody to know everybody', () =>
    cluster
      .running()
      .every(({ node }) => [...node.lastContactMs().values()].every((silentMs) => silentMs !== null)),
  );
}

describe('a server whose folder was lost, under its old id', () => {
  it('is kept out, ends, and says what to do; the others go on', () =>
    withCluster(3, async (cluster) => {
      await say(cluster, 'before');
      await allKnown(cluster);
      const [lost] = followersOf(cluster, (await cluster.leader()).id);
      assert.ok(lost !== undefined);
      await cluster.wipe(lost);
      await cluster.open(lost);
      const message = await ended(cluster, lost);
      assert.match(message, new RegExp(`^server\\d knows ${lost.id} by another data folder than this one`));
      assert.match(message, new RegExp(`clb raft remove ${lost.id}`));
      assert.equal(lost.machine.words.length, 0, 'it was not brought up to date');
      await say(cluster, 'after');
      // Its folder is not empty any more: that changes nothing.
      await cluster.open(lost);
      await ended(cluster, lost);
      await say(cluster, 'and on');
      const told = cluster.transportLines.filter((line) => /may not come back under its id/.test(line));
      assert.ok(told.length >= 1, 'the others say so, too');
    }));

  it('makes nobody a leader who lacks what it had acknowledged', () =>
    withCluster(3, async (cluster) => {
      await say(cluster, 'on all');
      await allKnown(cluster);
      const leader = await cluster.leader();
      const [lost, behind] = followersOf(cluster, leader.id);
      assert.ok(lost !== undefined && behind !== undefined);
      await cluster.crash(behind);
      await say(cluster, 'on two disks');
      await cluster.crash(leader);
      await cluster.wipe(lost);
      // With a vote of the one that forgot, the other would lead, and what both of them lack would be gone.
      await cluster.open(behind);
      await cluster.open(lost);
      await ended(cluster, lost);
      assert.notEqual(behind.node?.status().role, 'leader');
      await cluster.open(leader);
      await say(cluster, 'later');
      await until('it to have all', () => behind.machine.words.join() === 'on all,on two disks,later');
    }));

  it('is found out by who was started again meanwhile, too', () =>
    withCluster(3, async (cluster) => {
      await say(cluster, 'before');
      await allKnown(cluster);
      const [lost, ...others] = cluster.members;
      assert.ok(lost !== undefined);
      await cluster.wipe(lost);
      for (const other of others) await cluster.crash(other);
      for (const other of others) await cluster.open(other);
      await cluster.open(lost);
      await ended(cluster, lost);
      await say(cluster, 'after');
    }));

  it('is found out where it had joined later: it is known from the moment it is a member', () =>
    withCluster(3, async (cluster) => {
      await say(cluster, 'before');
      const joined = await cluster.addNewcomer('server4' as NodeId);
      const added = await until('it to be added', async () => {
        const address = cluster.addressOf(joined);
        const result = await (
          await cluster.leader()
        ).node.addMember({ id: joined.id, address, learner: false });
        return result.kind === 'done' ? result : undefined;
      });
      assert.equal(added.config.voters.length, 4);
      await until('it to have all', () => joined.machine.words.length === 1);
      await cluster.wipe(joined);
      await cluster.openNewcomer(joined);
      await ended(cluster, joined);
    }));
});

describe('a server that is new', () => {
  it('gets in when it comes late, and the others had a majority without it', async () => {
    const cluster = await TestCluster.start(0);
    try {
      for (const id of ['server1', 'server2', 'server3']) await cluster.addMember(id as NodeId);
      const [first, second, late] = cluster.members;
      assert.ok(first !== undefined && second !== undefined && late !== undefined);
      await cluster.open(first);
      await cluster.open(second);
      for (let n = 0; n < 5; n++) await say(cluster, `word${n}`);
      await cluster.open(late);
      await until('it to have all', () => late.machine.words.length === 5);
    } finally {
      await cluster.close();
    }
  });

  it('may come with another folder as long as it was no member', () =>
    withCluster(3, async (cluster) => {
      await say(cluster, 'before');
      const newcomer = await cluster.addNewcomer('server4' as NodeId);
      await allKnown(cluster);
      await cluster.wipe(newcomer);
      await cluster.openNewcomer(newcomer);
      await until('it to be added', async () => {
        const address = cluster.addressOf(newcomer);
        const { node } = await cluster.leader();
        return (await node.addMember({ id: newcomer.id, address, learner: false })).kind === 'done';
      });
      await until('it to have all', () => newcomer.machine.words.length === 1);
    }));
});
