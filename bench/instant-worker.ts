/** A worker process with an executor that returns at once: `instant-worker.ts DATA_DIR SERVERS SLOTS`. */
import { Worker } from '../src/worker/worker.ts';
import { InstantExecutor } from './instant-executor.ts';

const [, , dataDir = '', servers = '', slots = '4096'] = process.argv;
const worker = new Worker({
  id: 'instant',
  role: 'worker',
  address: '127.0.0.1:1',
  servers: servers.split(','),
  slots: Number(slots),
  labels: {},
  dataDir,
  token: null,
  clusterHeaders: {},
  executor: new InstantExecutor(),
  writeLine: () => undefined,
  log: {
    info: () => undefined,
    warn: (fields, message) => console.error(message, fields),
    error: (fields, message) => console.error(message, fields),
  },
  onFatal: (error) => {
    console.error(error);
    process.exit(1);
  },
});
await worker.start();
