/**
 * Time from `kill -9` of a worker's process and its launcher to the start of its tasks on another node, default settings, on
 * real processes: `node --import tsx bench/worker-loss.ts [--times 5] [--tasks 1] [--kill both|launcher]`. With `launcher`
 * only that is killed, and the node runs its tasks again itself. Goal P5. Prints one JSON line.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Clb } from '../src/sdk/clb.ts';
import { eventually, launcherPids, ProcessCluster } from '../test/cluster/processes.ts';
import { quantile } from './bench-cluster.ts';

function option(name: string, otherwise: string): string {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : (process.argv[at + 1] ?? otherwise);
}
const TIMES = Number(option('--times', '5'));
const TASKS = Number(option('--tasks', '1'));
const KILL = option('--kill', 'both');

const cluster = await ProcessCluster.start({
  workers: 2,
  only: ['server1', 'server2', 'server3', 'worker1', 'worker2'],
  env: { CLB_LOG_LEVEL: 'warn' },
  extraArgs: { server: ['--slots', '0'], worker: ['--slots', String(TASKS)] },
});
const clb = new Clb({ servers: [...cluster.servers] });
const folder = join(cluster.folder, 'starts');
/** Each start leaves a file: what counts is that the payload runs, not what the cluster says of it. */
const starts = (): number => readdirSync(cluster.folder).filter((name) => name.startsWith('starts')).length;
const drain = (node: string, on: boolean): Promise<unknown> =>
  cluster.request('server1', 'POST', `/v1/nodes/${node}/drain`, { drain: on });

const firstMs: number[] = [];
const allMs: number[] = [];
try {
  for (let round = 0; round < TIMES; round += 1) {
    await drain('worker2', true);
    const before = starts();
    const payload = { command: ['sh', '-c', `: > ${folder}-$CLB_TASK_ID-$CLB_ATTEMPT; exec sleep 600`] };
    const items = await clb.submitBatch(Array.from({ length: TASKS }, () => payload));
    await eventually('all run', () => starts() === before + TASKS);
    await drain('worker2', false);
    const killed = performance.now();
    if (KILL === 'both') await cluster.killWithLauncher('worker1');
    else for (const pid of launcherPids(join(cluster.folder, 'worker1'))) process.kill(pid, 'SIGKILL');
    await eventually('one runs again', () => starts() > before + TASKS);
    firstMs.push(Math.round(performance.now() - killed));
    await eventually('all run again', () => starts() === before + 2 * TASKS);
    allMs.push(Math.round(performance.now() - killed));
    await Promise.all(items.map(({ task }) => clb.cancel(task?.id ?? '')));
    await Promise.all(items.map(({ task }) => clb.wait(task?.id ?? '')));
    if (KILL === 'both') cluster.startNode('worker1');
    await cluster.whenReady();
  }
  const figures = (all: readonly number[]): object => ({
    ...{ median: quantile(all, 0.5), worst: Math.max(...all), all },
  });
  console.log(
    JSON.stringify({
      worker_loss_ms: { tasks: TASKS, kill: KILL, first: figures(firstMs), last: figures(allMs) },
    }),
  );
} finally {
  clb.close();
  await cluster.destroy();
}
