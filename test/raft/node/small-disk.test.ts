/**
 * A disk that really fills up: one server's data folder is on a file system of 40 MB. It hands the lead over and takes no proposals
 * before a write can fail, the others go on, and it goes on by itself when there is room. Needs the right to mount.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { diskFreeBytes } from '../../../src/raft/storage/disk-space.ts';
import { say, TestCluster, until } from './test-cluster.ts';

const SIZE_MIB = 40;
const FREE_BYTES_MIN = 8 * 1024 * 1024;
/** Leaves less than the minimum, and more than LevelDB needs to go on as a follower. */
const LEFT_BYTES = 6 * 1024 * 1024;

const mount = (folder: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m`, 'tmpfs', folder]).status === 0;

describe('a server on a small disk', () => {
  it('steps back before it is full, and comes back when there is room', async (t) => {
    const cluster = await TestCluster.start(0, { diskCheckMs: 50, diskFreeBytesMin: FREE_BYTES_MIN });
    for (const id of ['server1', 'server2', 'server3']) await cluster.addMember(id as never);
    const [small] = cluster.members;
    assert.ok(small);
    if (!mount(small.folder)) {
      await cluster.close();
      t.skip('SKIPPED: this user may not mount a file system, so no disk can be filled up');
      return;
    }
    small.disk.freeBytes = () => diskFreeBytes(small.folder);
    try {
      for (const member of cluster.members) await cluster.open(member);
      await say(cluster, 'before');
      const { node } = await cluster.leader();
      if (node !== small.node) await node.transferLeadership(small.id);
      await until('the small one to lead', async () => (await cluster.leader()).id === small.id);

      const ballast = join(small.folder, 'ballast');
      await writeFile(ballast, Buffer.alloc((await diskFreeBytes(small.folder)) - LEFT_BYTES));
      await until('another to lead', async () => (await cluster.leader()).id !== small.id);
      assert.ok(cluster.lines.some((line) => /^server1: raft: only \d+ bytes of disk are free/.test(line)));
      for (let n = 0; n < 20; n++) await say(cluster, `meanwhile${n}`);
      assert.deepEqual(await small.node!.propose(Buffer.from('x')), {
        kind: 'overloaded',
        limit: 'diskFreeBytesMin',
      });

      await rm(ballast);
      await until('the line that there is room', () =>
        cluster.lines.some((line) => /^server1: raft: \d+ bytes of disk are free again/.test(line)),
      );
      await (await cluster.leader()).node.transferLeadership(small.id);
      await until('the small one to lead again', async () => (await cluster.leader()).id === small.id);
      await say(cluster, 'after');
      assert.deepEqual(cluster.fatal, []);
    } finally {
      for (const member of cluster.members) await cluster.crash(member);
      spawnSync('umount', [small.folder]);
      await cluster.close();
    }
  });
});
