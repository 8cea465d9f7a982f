import { asLogIndex } from '../../src/raft/core/ids.ts';
import type { Effect, Input, LogIndex } from '../../src/raft/core/types.ts';
import type { LogDisk, StoredSnapshot } from './durable-state.ts';
import type { Surroundings } from './host.ts';

type Persist = Extract<Effect, { kind: 'persist' }>;
type Written = Extract<Input, { kind: 'persisted' | 'snapshotTaken' | 'snapshotInstalled' }>;

interface Job {
  /** Changes the disk, atomically. @returns what the core is told when it is heard of; null: nothing */
  readonly carryOut: () => Written | null;
  readonly persist: Persist | null;
}

/** Of the writes under way when a process dies, those that reach the disk all the same. */
const DONE_ANYWAY_RATE = 0.5;

/**
 * One write at a time reaches the disk; some time later the process hears of it. If the process dies before, the write
 * is done or not; what was queued behind it is not.
 */
export class WriteQueue {
  readonly #disk: LogDisk;
  readonly #around: Surroundings;
  readonly #onWritten: (input: Written | null) => void;
  #jobs: Job[] = [];
  /** On their way to the disk. */
  #underWay: readonly Job[] = [];
  /** Until the last write is heard of. */
  #isBusy = false;
  #isDead = false;

  constructor(disk: LogDisk, around: Surroundings, onWritten: (input: Written | null) => void) {
    this.#disk = disk;
    this.#around = around;
    this.#onWritten = onWritten;
  }

  persist(effect: Persist): void {
    const carryOut = (): Written => {
      this.#disk.write(effect.hardState, effect.truncateFrom, effect.append);
      return { kind: 'persisted', writeId: effect.writeId };
    };
    this.#add({ carryOut, persist: effect });
  }

  takeSnapshot(snapshot: StoredSnapshot, compactThrough: LogIndex): void {
    const { meta } = snapshot;
    const carryOut = (): Written | null => {
      // One from the leader may have overtaken it.
      if (meta.index <= this.#disk.snapshotIndex) return null;
      this.#disk.takeSnapshot(snapshot, compactThrough);
      return { kind: 'snapshotTaken', meta, compactThrough: asLogIndex(compactThrough) };
    };
    this.#add({ carryOut, persist: null });
  }

  install(snapshot: StoredSnapshot): void {
    const carryOut = (): Written => {
      this.#disk.install(snapshot);
      return { kind: 'snapshotInstalled', meta: snapshot.meta };
    };
    this.#add({ carryOut, persist: null });
  }

  kill(): void {
    this.#isDead = true;
    const jobs = this.#underWay;
    this.#underWay = [];
    if (jobs.length === 0) return;
    const { random, trace, struck } = this.#around;
    if (!random.chance(DONE_ANYWAY_RATE)) {
      struck('write lost at a crash');
      return;
    }
    // Of several that were joined, perhaps only the first ones: each is atomic by itself.
    const done = jobs.slice(0, random.between(1, jobs.length));
    struck(done.length < jobs.length ? 'batch torn' : 'write done and unheard of');
    trace('disk', `${String(done.length)} of ${String(jobs.length)} done, and nobody heard of it`);
    for (const job of done) job.carryOut();
  }

  #add(job: Job): void {
    if (this.#isDead) return;
    this.#jobs.push(job);
    this.#startNext();
  }

  #startNext(): void {
    if (this.#isBusy || this.#jobs.length === 0) return;
    // Only writes of log and hard state are joined.
    const { groupCommit } = this.#around.weather();
    let count = 1;
    if (groupCommit && this.#jobs[0]?.persist !== null) {
      while (this.#jobs[count]?.persist) count++;
    }
    this.#underWay = this.#jobs.splice(0, count);
    this.#isBusy = true;
    this.#around.afterAnyway(this.#around.diskMs(), () => this.#done());
  }

  #done(): void {
    if (this.#isDead) return;
    let heard: Written | null = null;
    for (const job of this.#underWay) heard = job.carryOut();
    this.#underWay = [];
    this.#around.after(this.#around.random.exponential(this.#around.weather().diskAckMs), () => {
      this.#isBusy = false;
      this.#onWritten(heard);
      this.#startNext();
    });
  }
}
