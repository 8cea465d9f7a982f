/**
 * Time from `kill -9` of the master to the next acknowledged submit, default settings, on real processes:
 * `node --import tsx bench/failover.ts [--times 20]`. Goal P4. Prints one JSON line.
 */
import { Clb } from '../src/sdk/index.ts';
import { eventually } from '../test/cluster/processes.ts';
import { quantile, startBenchCluster } from './bench-cluster.ts';

const timesAt = process.argv.indexOf('--times');
const TIMES = timesAt === -1 ? 20 : Number(process.argv[timesAt + 1]);

const { cluster, destroy } = await startBenchCluster(64);
const clb = new Clb({ servers: [...cluster.servers] });
const tookMs: number[] = [];
try {
  for (let round = 0; round < TIMES; round += 1) {
    const master = await cluster.master();
    await clb.submit({ command: ['true'] });
    const killed = performance.now();
    await cluster.killWithLauncher(master);
    await clb.submit({ command: ['true'] });
    tookMs.push(Math.round(performance.now() - killed));
    cluster.startNode(master);
    const reference = await cluster.master();
    await eventually('the killed server has caught up', async () => {
      const [back, leader] = await Promise.all([cluster.raft(master), cluster.raft(reference)]);
      return back.appliedIndex >= leader.commitIndex - 1;
    });
  }
  console.log(
    JSON.stringify({
      failover_ms: { median: quantile(tookMs, 0.5), worst: Math.max(...tookMs), all: tookMs },
    }),
  );
} finally {
  clb.close();
  await destroy();
}
