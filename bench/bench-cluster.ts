/** Three real servers (the built program, defaults, real disks) and a worker that returns at once, for the benchmarks. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join, resolve } from 'node:path';
import { eventually, ProcessCluster } from '../test/cluster/processes.ts';
import type { NodeView } from '../src/api/views.ts';

export interface BenchCluster {
  readonly cluster: ProcessCluster;
  readonly destroy: () => Promise<void>;
}

/** `slots`: tasks the instant worker takes at once. `also`: further nodes, by id. `flags`: more of them for the servers. */
export async function startBenchCluster(
  slots: number,
  also: readonly string[] = [],
  flags: readonly string[] = [],
): Promise<BenchCluster> {
  const cluster = await ProcessCluster.prepare({
    only: ['server1', 'server2', 'server3', ...also],
    extraArgs: { server: ['--slots', '0', ...flags] },
    env: { CLB_LOG_LEVEL: 'warn' },
  });
  for (const node of cluster.nodes) cluster.startNode(node.id);
  const worker: ChildProcess = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      resolve(import.meta.dirname, 'instant-worker.ts'),
      join(cluster.folder, 'instant'),
      cluster.servers.join(','),
      String(slots),
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  await eventually('the worker is ready', async () => {
    const { nodes } = await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
    return nodes.some((node) => node.id === 'instant' && node.status === 'ready');
  });
  return {
    cluster,
    destroy: async () => {
      worker.kill('SIGKILL');
      await cluster.destroy();
    },
  };
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.floor((sorted.length - 1) * q)] ?? 0) * 100) / 100;
}
