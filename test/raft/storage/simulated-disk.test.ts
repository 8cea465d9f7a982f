/** The simulator's disk keeps what the simulated servers rely on: the same suite as for LevelDB. */
import { Random } from '../../sim/random.ts';
import { SimDisk, SimKv } from '../../sim/sim-disk.ts';
import type { DiskWorld } from '../../sim/sim-disk.ts';
import { describeKvStore } from './kv-suite.ts';
import type { PrepareStore } from './kv-suite.ts';
import { describeStorage } from './storage-suite.ts';

/** The suite stores damaged records on purpose, which nobody can look into. */
class BareDisk extends SimDisk {
  protected override interpret(): void {
    return undefined;
  }
}

/** A world in which writes take a turn of the event loop. */
const around: DiskWorld = {
  struck: () => undefined,
  diesNow: () => false,
  random: new Random(1),
  diskMs: () => 0,
  weather: () => ({ diskAckMs: 0 }),
  after: (_delayMs, action) => {
    const turn = setImmediate(action);
    return () => clearImmediate(turn);
  },
  afterAnyway: (_delayMs, action) => void setImmediate(action),
  trace: () => undefined,
};

const prepare: PrepareStore = () => {
  const disk = new BareDisk();
  return Promise.resolve({
    open: () => Promise.resolve(new SimKv(disk, around)),
    clean: () => Promise.resolve(),
  });
};

describeKvStore('the simulated disk', prepare);
describeStorage('the simulated disk', prepare);
