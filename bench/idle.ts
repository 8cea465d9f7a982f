/**
 * What the six nodes cost while nothing is to be done: resident memory and CPU over a minute:
 * `node --import tsx bench/idle.ts [--secs 60]`. Goals: together under 500 MB (launchers apart, at most 50 MB each) and
 * under 10 % of one core. Linux only. Prints one JSON line.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launcherPids, ProcessCluster } from '../test/cluster/processes.ts';

const secsAt = process.argv.indexOf('--secs');
const SECS = secsAt === -1 ? 60 : Number(process.argv[secsAt + 1]);
/** USER_HZ, 100 on every Linux this runs on. */
const TICKS_PER_SECOND = 100;

const residentMb = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024);
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

const cluster = await ProcessCluster.start({ env: { CLB_LOG_LEVEL: 'warn' } });
try {
  // One task on each node, so that everything that is started lazily is there.
  for (let i = 0; i < 8; i += 1) await cluster.request('client', 'POST', '/v1/tasks', { script: 'print(1)' });
  await new Promise((wake) => setTimeout(wake, 15_000));
  const nodes = cluster.nodes.map((node) => ({ id: node.id, pid: cluster.pid(node.id) }));
  const launchers = cluster.nodes.flatMap((node) =>
    launcherPids(join(cluster.folder, node.id)).map((pid) => ({ id: `${node.id} launcher`, pid })),
  );
  const all = [...nodes, ...launchers];
  const before = all.map(({ pid }) => cpuTicks(pid));
  await new Promise((wake) => setTimeout(wake, SECS * 1_000));
  const percent = all.map(
    ({ pid }, i) => ((cpuTicks(pid) - (before[i] ?? 0)) / TICKS_PER_SECOND / SECS) * 100,
  );
  const round = (value: number): number => Math.round(value * 10) / 10;
  console.log(
    JSON.stringify({
      nodes_mb: nodes.map(({ pid }) => residentMb(pid)).reduce((sum, mb) => sum + mb, 0),
      launcher_mb_max: Math.max(0, ...launchers.map(({ pid }) => residentMb(pid))),
      cpu_percent_of_a_core: round(percent.reduce((sum, one) => sum + one, 0)),
      each: Object.fromEntries(
        all.map(({ id, pid }, i) => [id, { mb: residentMb(pid), cpu: round(percent[i] ?? 0) }]),
      ),
    }),
  );
} finally {
  await cluster.destroy();
}
