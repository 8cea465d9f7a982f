/** Snapshots of whole nodes: taken while work goes on, sent to those that are behind, installed, and survived. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeId } from '../../../src/raft/core/types.ts';
import type { RaftSettings } from '../../../src/raft/raft-settings.ts';
import { say, sayAll, TestCluster, until } from './test-cluster.ts';
import type { Member } from './test-cluster.ts';

const words = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, n) => `word${from + n}`);
/** Snapshots only when asked for, and nothing of the log kept behind them. */
/** Nothing of the log is kept, not for those who have just gone either. */
const BY_HAND: Partial<RaftSettings> = {
  snapshotEveryEntries: 1_000_000,
  trailingEntries: 0,
  catchUpBytesMax: 0,
};

async function takeSnapshots(cluster: TestCluster): Promise<void> {
  for (const { node } of cluster.running()) assert.notEqual(await node.takeSnapshot(), null);
}
const sameWords = (members: readonly Member[], count: number): Promise<true> =>
  until('the same words everywhere', () => {
    const [first] = members;
    return members.every(
      ({ machine }) => machine.words.length === count && machine.words.join() === first!.machine.words.join(),
    );
  });

async function crashFollower(cluster: TestCluster): Promise<Member> {
  const follower = cluster.running().find(({ node }) => node.status().role !== 'leader')!;
  await cluster.crash(follower);
  return follower;
}

/** Says 5,001 words of which a server, that is down, has the first only; the others have a snapshot (100 chunks) and no log. */
async function leaveBehind(cluster: TestCluster): Promise<Member> {
  await sayAll(cluster, ['first']);
  const behind = await crashFollower(cluster);
  for (let n = 0; n < 10; n++) await sayAll(cluster, words(n * 500, n * 500 + 499));
  await takeSnapshots(cluster);
  return behind;
}

/** Starts a server that was left behind; when this returns the snapshot is on its way. */
async function openUntilItReceives(cluster: TestCluster, behind: Member): Promise<void> {
  await cluster.open(behind);
  await until('the transfer to begin', () =>
    cluster.lines.some((line) => line.startsWith(`${behind.id}: raft: receiving snapshot`)),
  );
}

describe('snapshots', () => {
  it('are taken after so many entries, and the log before them goes, except for what is kept', async () => {
    const cluster = await TestCluster.start(1, { snapshotEveryEntries: 100, trailingEntries: 20 });
    try {
      const [member] = cluster.members;
      for (let n = 0; n < 50; n++) await sayAll(cluster, words(n * 10, n * 10 + 9));
      const { node } = await cluster.leader();
      await until('a snapshot', () => node.status().snapshotIndex > 300);
      const { snapshotIndex, firstIndex } = node.status();
      assert.ok(snapshotIndex - firstIndex < 100, `${firstIndex}..${snapshotIndex}`);
      await cluster.crash(member!);
      await cluster.open(member!);
      await say(cluster, 'last');
      assert.deepEqual(member!.machine.words, [...words(0, 499), 'last']);
    } finally {
      await cluster.close();
    }
  });

  it('do not see what is applied while they are written', async () => {
    const cluster = await TestCluster.start(1, BY_HAND);
    try {
      const [member] = cluster.members;
      await sayAll(cluster, words(1, 1_000));
      const { node } = await cluster.leader();
      const taking = node.takeSnapshot();
      await sayAll(cluster, words(1_001, 1_200));
      const meta = await taking;
      assert.equal(meta!.index, 1_001);
      assert.ok(node.status().appliedIndex >= 1_201);
      await cluster.crash(member!);
      await cluster.open(member!);
      assert.deepEqual(member!.machine.words, words(1, 1_000), 'what the snapshot holds');
      await say(cluster, 'last');
      assert.deepEqual(member!.machine.words, [...words(1, 1_200), 'last'], 'and the log after it');
    } finally {
      await cluster.close();
    }
  });

  it('bring a server up to date that is too far behind, with its stored records', async () => {
    const cluster = await TestCluster.start(3, BY_HAND);
    try {
      await sayAll(cluster, ['keep:early', ...words(1, 100)]);
      const behind = await crashFollower(cluster);
      const kept = await say(cluster, 'keep:gone later');
      await sayAll(cluster, [...words(101, 600), 'keep:late']);
      await takeSnapshots(cluster);
      await say(cluster, `drop:${kept.split('@')[1]}`);
      await say(cluster, 'keep:after the snapshot');
      await say(cluster, 'word601');
      await cluster.open(behind);
      await sameWords(cluster.members, 601);
      const receiver = cluster.running().find(({ id }) => id === behind.id)!;
      assert.ok(receiver.node.status().snapshotIndex > 600, 'by a snapshot, not by the log');
      // Not those dropped after the snapshot: the command that drops one is in the log behind it.
      await say(cluster, 'flush');
      await until('the record after the snapshot', () => receiver.machine.appliedIndex >= 607);
      const stored = await receiver.machine.stored();
      assert.deepEqual(stored.slice(0, 3), ['keep:early', 'keep:gone later', 'keep:late']);

      await cluster.crash(behind);
      await cluster.open(behind);
      await sameWords(cluster.members, 602);
      assert.deepEqual((await behind.machine.stored()).slice(0, 4), [
        'keep:early',
        'keep:gone later',
        'keep:late',
        'keep:after the snapshot',
      ]);
      // A later snapshot takes the dropped record away for good.
      const again = cluster.running().find(({ id }) => id === behind.id)!;
      await again.node.takeSnapshot();
      assert.ok(!(await behind.machine.stored()).includes('keep:gone later'));
    } finally {
      await cluster.close();
    }
  });

  it('are received anew after the receiver crashed in the middle', async () => {
    const cluster = await TestCluster.start(3, { ...BY_HAND, chunkResendMs: 100 });
    try {
      const behind = await leaveBehind(cluster);
      await openUntilItReceives(cluster, behind);
      await cluster.crash(behind);
      assert.ok(
        !cluster.lines.some((line) => line.startsWith(`${behind.id}: raft: snapshot`)),
        'it was not finished',
      );
      await cluster.open(behind);
      await sameWords(cluster.members, 5_001);
    } finally {
      await cluster.close();
    }
  });

  it('are sent by the next leader when the first crashes in the middle', async () => {
    const cluster = await TestCluster.start(3, { ...BY_HAND, chunkResendMs: 100 });
    try {
      const behind = await leaveBehind(cluster);
      await openUntilItReceives(cluster, behind);
      const leader = await cluster.leader();
      await cluster.crash(leader);
      await say(cluster, 'by the next');
      await cluster.open(leader);
      await sameWords(cluster.members, 5_002);
    } finally {
      await cluster.close();
    }
  });

  it('reach a server that joins with nothing, first as learner, then as voter', async () => {
    const cluster = await TestCluster.start(1, BY_HAND);
    try {
      await sayAll(cluster, [...words(1, 300), 'keep:a']);
      await takeSnapshots(cluster);
      const [first] = cluster.running();
      const joiner = await cluster.addMember('server9' as NodeId);
      first!.transport!.setPeer(joiner.id, { host: '127.0.0.1', port: joiner.port });
      const { node: joined } = { node: await cluster.open(joiner, []) };
      assert.equal(joined.status().role, 'learner');
      const added = await first!.node.proposeConfig({ voters: [first!.id], learners: [joiner.id] });
      assert.equal(added.kind, 'applied');
      await sameWords(cluster.members, 300);
      assert.deepEqual(await joiner.machine.stored(), ['keep:a']);
      const promoted = await until(
        'the promotion',
        () => first!.node.status().peers.get(joiner.id)?.state === 'replicate',
      ).then(() => first!.node.proposeConfig({ voters: [first!.id, joiner.id], learners: [] }));
      assert.equal(promoted.kind, 'applied');
      await until('the vote', () => joined.status().role === 'follower');
    } finally {
      await cluster.close();
    }
  });
});
