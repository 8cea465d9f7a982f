/**
 * A server of its own process that proposes until it dies; run by disk-full.test.ts under a file size limit. Prints the
 * number of each acknowledged word.
 */
import { createServer } from 'node:http';
import { UpgradeRouter } from '../../../src/net/upgrade.ts';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { HttpTransport, LevelKv, RaftNode, silentLogger, systemTimers } from '../../../src/raft/index.ts';
import { WordMachine } from './word-machine.ts';

const [folder = ''] = process.argv.slice(2);
const id = 'server1' as NodeId;
const router = new UpgradeRouter(() => ({ ok: true }));
router.attach(createServer());
const machine = new WordMachine();
const node = await RaftNode.open<string>({
  id,
  clusterId: 'test',
  bootstrap: { voters: [id], learners: [] },
  kv: await LevelKv.open(folder),
  transport: new HttpTransport({
    clusterId: 'test',
    self: id,
    peers: new Map(),
    router,
    token: null,
    timers: systemTimers,
    log: silentLogger,
  }),
  machine,
  timers: systemTimers,
  random: (bound) => Math.floor(Math.random() * bound),
  log: silentLogger,
  onFatal: (error) => {
    console.error(String(error));
    process.exit(70);
  },
});
node.start();
for (let n = 0; ;) {
  const result = await node.propose(Buffer.from(`${n}:${'x'.repeat(2_000)}`));
  if (result.kind === 'applied') console.log(n++);
  else await new Promise((resolve) => setTimeout(resolve, 10));
}
