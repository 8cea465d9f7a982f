import type { LogIndex, Term } from '../../../src/raft/core/types.ts';
import { MachineDriver, applyAt, restoreMachine } from '../machine-driver.ts';
import { MemoryKv } from '../memory-kv.ts';

/** What a server has after a crash: the store as it was, a snapshot (or none), and the log after it. */
export interface Crashed {
  readonly kv: MemoryKv;
  readonly segmentTasks: number;
  readonly snapshot: {
    readonly index: number;
    readonly term: number;
    readonly chunks: readonly Uint8Array[];
  };
}

const NO_SNAPSHOT: Crashed['snapshot'] = { index: 0, term: 0, chunks: [] };

/** A second server: restored from the snapshot over the given store, then fed the rest of the log. */
export async function replayed(
  driver: MachineDriver,
  crashed: Partial<Crashed> = {},
): Promise<MachineDriver> {
  const { index, term, chunks } = crashed.snapshot ?? NO_SNAPSHOT;
  const second = new MachineDriver(crashed.segmentTasks);
  second.kv = crashed.kv ?? new MemoryKv(driver.kv.map);
  await restoreMachine(second.machine, index, term, chunks, second.kv);
  for (const entry of driver.log) {
    if (entry.index <= index) continue;
    second.log.push(entry);
    if (entry.payload === null) second.machine.applyTermStart(entry.term as Term, entry.index as LogIndex);
    else second.results.push(applyAt(second.machine, entry.index, entry.term, entry.payload));
  }
  second.index = driver.index;
  second.term = driver.term;
  second.now = driver.now;
  return second;
}
