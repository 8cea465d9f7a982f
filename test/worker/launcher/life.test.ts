// How a launcher comes and goes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { launcherLayout, SOCKET_PATH_BYTES_MAX } from '../../../src/worker/launcher/layout.ts';
import { Harness, isRunning, leftovers, poll, temporaryFolder } from './harness.ts';

/** One process in the group and one in another session. */
const FAMILY = 'setsid sleep 1000 & echo family; sleep 1000';

describe('a launcher', () => {
  it('gives back what still runs when it is stopped, and keeps the endings', async () => {
    const harness = new Harness();
    await harness.start();
    const ref = harness.launch({ command: ['sh', '-c', FAMILY] });
    await harness.untilOutput(ref, 'family');
    await harness.executor.stop();
    assert.deepEqual(leftovers(ref.task), []);
    const next = new Harness(harness.dataDir);
    const { ended } = await next.start();
    assert.deepEqual(ended, [
      { ...ref, ending: { kind: 'released', reason: 'given back: server2 is being stopped' } },
    ]);
    await next.stop();
  });

  it('serves a data folder whose path is too long for a socket, and lets nobody else in', async () => {
    const root = temporaryFolder();
    const dataDir = join(root, 'x'.repeat(SOCKET_PATH_BYTES_MAX));
    mkdirSync(dataDir);
    const { socket } = launcherLayout(dataDir);
    assert.ok(Buffer.byteLength(socket) <= SOCKET_PATH_BYTES_MAX);
    const harness = new Harness(dataDir);
    await harness.start();
    assert.equal(existsSync(socket), true);
    // A connection that does not say hello takes nothing away from the one that did.
    const stranger = createConnection(socket);
    await once(stranger, 'connect');
    assert.equal((await harness.run({ command: ['true'] })).outcome, 'succeeded');
    stranger.destroy();
    await harness.stop();
    assert.equal(existsSync(socket), false);
    rmSync(root, { recursive: true });
  });

  it('ends by itself when its folder is removed', async () => {
    const harness = new Harness();
    await harness.start();
    const ref = harness.launch({ command: ['sh', '-c', FAMILY] });
    await harness.untilOutput(ref, 'family');
    const { launcher, guard } = harness.executor.pids;
    rmSync(harness.dataDir, { recursive: true, force: true, maxRetries: 5 });
    await poll(() => !isRunning(launcher) && !isRunning(guard), 'the end of the launcher');
    assert.deepEqual(leftovers(ref.task), []);
    await harness.executor.crash();
    await poll(() => !isRunning(harness.executor.pids.launcher), 'the end of any successor');
    rmSync(harness.dataDir, { recursive: true, force: true });
  });
});
