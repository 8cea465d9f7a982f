/**
 * Time from `kill -9` of a worker's process and its launcher to the start of its task on another node, default settings, on
 * real processes: `node --import tsx bench/worker-loss.ts [--times 5]`. Goal P5. Prints one JSON line.
 */
import type { TaskView } from '../src/api/tasks.ts';
import { eventually, ProcessCluster } from '../test/cluster/processes.ts';
import { quantile } from './bench-cluster.ts';

const timesAt = process.argv.indexOf('--times');
const TIMES = timesAt === -1 ? 5 : Number(process.argv[timesAt + 1]);

const cluster = await ProcessCluster.start({ env: { CLB_LOG_LEVEL: 'warn' } });
const tookMs: number[] = [];
const task = (id: string): Promise<TaskView> => cluster.getAny<TaskView>(`/v1/tasks/${id}`);
try {
  for (let round = 0; round < TIMES; round += 1) {
    const { body } = await cluster.request<TaskView>('client', 'POST', '/v1/tasks', {
      command: ['sleep', '600'],
      onDisconnect: 'pause',
    });
    const { id } = body;
    const node = await eventually('the task runs', async () => {
      const { status, attempts } = await task(id);
      return status === 'running' ? attempts.at(-1)?.node : undefined;
    });
    // A server would take its master's lead with it: only what the worker does is measured.
    const killed = performance.now();
    if (node === 'worker1') {
      await cluster.killWithLauncher(node);
      await eventually('it runs again', async () => {
        const { status, attempts } = await task(id);
        return status === 'running' && attempts.length === 2;
      });
      tookMs.push(Math.round(performance.now() - killed));
      cluster.startNode(node);
      await cluster.whenReady();
    } else {
      round -= 1;
    }
    await cluster.request('client', 'POST', `/v1/tasks/${id}/cancel`, {});
    await eventually('it has ended', async () => (await task(id)).status === 'canceled');
  }
  console.log(
    JSON.stringify({
      worker_loss_ms: { median: quantile(tookMs, 0.5), worst: Math.max(...tookMs), all: tookMs },
    }),
  );
} finally {
  await cluster.destroy();
}
