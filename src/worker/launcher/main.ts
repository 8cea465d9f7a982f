/** Entry of the launcher process: `node main.js NODE_ID DATA_DIR [PAUSED_MS_MAX [SCRATCH_BYTES_MAX]]`, `-` for a default. Started by launcher-process.ts, detached. */
import { closeInheritedDescriptors } from './descriptors.ts';
import { Launcher, LAUNCHER } from './launcher.ts';
import { SCRATCH } from './scratch-watch.ts';

const [node, dataDir, pausedMsMax = '-', scratchBytesMax = '-'] = process.argv.slice(2);
if (node === undefined || dataDir === undefined) {
  console.error('usage: main.js NODE_ID DATA_DIR [PAUSED_MS_MAX [SCRATCH_BYTES_MAX]]');
  process.exit(2);
}

const log = (message: string): void => console.error(`${new Date().toISOString()} ${message}`);

// A service manager or a shell may have left descriptors open in the node; payloads must not get them from here.
closeInheritedDescriptors();

const launcher = new Launcher({
  node,
  dataDir,
  pausedMsMax: pausedMsMax === '-' ? LAUNCHER.pausedMsMax : Number(pausedMsMax),
  scratchBytesMax: scratchBytesMax === '-' ? SCRATCH.bytesMax : Number(scratchBytesMax),
  exit: (code, why) => {
    log(`ends: ${why}`);
    process.exit(code);
  },
});

// A signal to the whole service reaches the launcher too. While the node is there, it is the node that ends the tasks and
// gives them back, and then tells the launcher.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!launcher.hasClient) launcher.shutdown(signal);
  });
}

try {
  await launcher.start();
  log(`serves ${dataDir}, process ${process.pid}`);
} catch (error) {
  log(`can't start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
