/**
 * BullMQ's worker in a process of its own: `bullmq-worker.ts PORT QUEUE instant|endless CONCURRENCY`, forked by bullmq.ts.
 * Jobs return at once, or never. Its messages are {@link WorkerMessage}s.
 */
import { bullmqLibrary } from './bullmq-library.ts';
import type { WorkerMessage } from './bullmq-library.ts';

const [port = '', queue = '', jobs = '', concurrency = ''] = process.argv.slice(2);
const { Worker } = bullmqLibrary();

function tell(message: WorkerMessage): void {
  process.send?.(message);
}

async function neverEnd(): Promise<void> {
  tell({ kind: 'began' });
  await new Promise(() => undefined);
}

const worker = new Worker(queue, jobs === 'endless' ? neverEnd : () => Promise.resolve(0), {
  connection: { host: '127.0.0.1', port: Number(port) },
  concurrency: Number(concurrency),
  removeOnComplete: { count: 1_000 },
});
worker.on('error', (error) => console.error(error.message));
let completed: string[] = [];
worker.on('completed', ({ id }) => {
  completed.push(id);
  if (completed.length > 1) return;
  // one message for all of a turn of the event loop
  setImmediate(() => {
    tell({ kind: 'completed', ids: completed });
    completed = [];
  });
});
process.on('disconnect', () => process.exit(0));
await worker.waitUntilReady();
tell({ kind: 'ready' });
