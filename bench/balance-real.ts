/**
 * The same on real processes: three workers whose payloads may use different shares of a core (cgroup v1 CPU quotas around each launcher
 * and what it starts; the node's own process is not limited), Python payloads that compute. First a burst, then single tasks
 * while all nodes are free: those should go where tasks have been fast. `node --import tsx bench/balance-real.ts` as root on Linux
 * with a writable cpu controller (build first). Prints one JSON line.
 */
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskView } from '../src/api/tasks.ts';
import { Clb } from '../src/sdk/index.ts';
import { eventually, launcherPids, ProcessCluster } from '../test/cluster/processes.ts';

const CONTROLLER = '/sys/fs/cgroup/cpu';
const PERIOD_US = 100_000;
/** Of a core. */
const SHARES: Readonly<Record<string, number>> = { worker1: 0.4, worker2: 0.2, worker3: 0.1 };
const BURST = 60;
const SINGLE = 12;
/** Computes for a fixed number of steps, and says how much CPU time that took. */
const PAYLOAD = `
import time
x = 0
for i in range(2_500_000):
    x += i * i
print(time.process_time())
`;

const groups: string[] = [];
const cluster = await ProcessCluster.start({
  workers: 3,
  only: ['server1', 'server2', 'server3', ...Object.keys(SHARES)],
  extraArgs: { server: ['--slots', '0'], worker: ['--slots', '1'] },
});
const clb = new Clb({ servers: [...cluster.servers] });

function limit(node: string, share: number): void {
  const group = join(CONTROLLER, `clb-bench-${process.pid}-${node}`);
  mkdirSync(group);
  groups.push(group);
  writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
  writeFileSync(join(group, 'cpu.cfs_quota_us'), String(Math.round(PERIOD_US * share)));
  for (const pid of launcherPids(join(cluster.folder, node)))
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
}

const nodeOf = (task: TaskView): string => task.attempts.at(-1)?.node ?? '';
const workOf = (task: TaskView): number => Number(task.result?.stdout);
const shareOfAll = Object.values(SHARES).reduce((sum, share) => sum + share, 0);

function perNode(tasks: readonly TaskView[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const task of tasks) counts[nodeOf(task)] = (counts[nodeOf(task)] ?? 0) + 1;
  return counts;
}

try {
  for (const [node, share] of Object.entries(SHARES)) {
    await eventually(`${node} has a launcher`, () => launcherPids(join(cluster.folder, node)).length > 0);
    limit(node, share);
  }
  const began = performance.now();
  const burst = await Promise.all(
    Array.from({ length: BURST }, async () =>
      clb.outcome(await clb.submit({ script: PAYLOAD, name: 'compute' })),
    ),
  );
  const makespan = (performance.now() - began) / 1_000;
  const work = burst.reduce((sum, task) => sum + workOf(task), 0);
  const single: TaskView[] = [];
  for (let at = 0; at < SINGLE; at += 1) {
    single.push(await clb.outcome(await clb.submit({ script: PAYLOAD, name: 'compute' })));
  }
  const speeds =
    single
      .at(-1)
      ?.attempts.at(-1)
      ?.placement?.candidates.map(({ node, speed }) => [node, speed]) ?? [];
  console.log(
    JSON.stringify({
      balance_real: {
        shares: SHARES,
        burst: BURST,
        makespan_s: Math.round(makespan * 10) / 10,
        lower_bound_s: Math.round((10 * work) / shareOfAll) / 10,
        ratio: Math.round((100 * makespan * shareOfAll) / work) / 100,
        tasks_per_node: perNode(burst),
        single_per_node: perNode(single),
        speeds: Object.fromEntries(speeds) as Record<string, number | null>,
      },
    }),
  );
} finally {
  clb.close();
  await cluster.destroy();
  for (const group of groups) rmdirSync(group);
}
