/**
 * A disk that takes no more, for real: a limit on the size of files stands in for it. LevelDB would acknowledge later writes
 * and lose them (docs/storage.md), so the process must be gone after the first failure.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { LevelKv } from '../../../src/raft/storage/level-kv.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';

const LIMIT_KIB = 512;

describe('a server whose disk is full', { skip: process.platform === 'win32' }, () => {
  it('ends at the first failed write, having lost nothing it acknowledged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'clb-full-'));
    try {
      const script = fileURLToPath(new URL('disk-full-server.ts', import.meta.url));
      const run = spawnSync(
        'bash',
        [
          '-c',
          `ulimit -f ${LIMIT_KIB}; exec "$0" --import tsx "$1" "$2"`,
          process.execPath,
          script,
          join(folder, 'raft'),
        ],
        {
          encoding: 'utf8',
          timeout: 30_000,
        },
      );
      assert.equal(run.status, 70, run.stderr);
      assert.match(run.stderr, /STORAGE|writing to .* failed/);
      const acknowledged = run.stdout.trim().split('\n').length;
      assert.ok(acknowledged > 20, `${acknowledged} acknowledged`);

      const kv = await LevelKv.open(join(folder, 'raft'));
      const { recovered } = await KvRaftStorage.open(kv, {
        identity: { clusterId: 'test', nodeId: 'server1' as NodeId },
        bootstrap: { voters: [], learners: [] },
      });
      await kv.close();
      const commands = recovered.entries.filter(({ kind }) => kind === 'command');
      assert.ok(commands.length >= acknowledged, `${commands.length} of ${acknowledged} are there`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
