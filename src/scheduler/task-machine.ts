import type { LogIndex, SnapshotMeta, Term } from '../raft/core/types.ts';
import type { CommittedCommand, StateMachine } from '../raft/state-machine.ts';
import type { KvOp, KvStore } from '../raft/storage/kv-store.ts';
import { applyOp } from './state/apply-op.ts';
import { ARCHIVE_PREFIXES_LOADED, BODY_PREFIX, indexOfValue } from './state/archive-format.ts';
import { decodeEntry } from './state/ops.ts';
import type { ApplyResult, OpResult } from './state/ops.ts';
import { SnapshotReader, encodeSnapshot, freeze, resetToEmpty, stateHash } from './state/snapshot-format.ts';
import { Changes, TaskState } from './state/task-state.ts';
import type { AppliedEntry } from './state/task-state.ts';

/** Hears of everything applied, right after it was. Must not throw and must not change the machine. */
export interface MachineObserver {
  applied?(entry: AppliedEntry): void;
  /** A new leader's first entry was applied: nothing of earlier terms follows. */
  termStarted?(term: number, index: number): void;
  /** The whole state was replaced (at start, or by the leader's snapshot). */
  restored?(index: number): void;
}

/** Everything after the last character used in keys. */
const KEY_END = '~';

/** The replicated task list. See docs/scheduling.md for its commands; state/ holds what they do. */
export class TaskMachine implements StateMachine<ApplyResult> {
  readonly #segmentTasks: number | undefined;
  #state: TaskState;
  #restoring = false;
  readonly #observers = new Set<MachineObserver>();

  /** `segmentTasks`: finished tasks per stored segment; small in tests that want many. May differ between servers. */
  constructor(options: { readonly segmentTasks?: number } = {}) {
    this.#segmentTasks = options.segmentTasks;
    this.#state = new TaskState(options.segmentTasks);
  }

  /** For reading, now: {@link restore} puts another one in its place. */
  get state(): TaskState {
    return this.#state;
  }

  /** Returns the unsubscriber. */
  observe(observer: MachineObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  apply(command: CommittedCommand): ApplyResult {
    const { state } = this;
    const { index, term } = command;
    const entry = decodeEntry(command.payload);
    state.appliedIndex = index;
    if (entry !== null) state.clock = Math.max(state.clock, entry.at);
    const changes = new Changes({ index, term, version: state.version, at: state.clock });
    const results: OpResult[] = [];
    if (entry !== null) for (const op of entry.ops) results.push(applyOp(state, changes, op));
    if (this.#observers.size > 0) {
      const { events, tasks } = changes;
      const applied: AppliedEntry = { index, term, at: state.clock, events, tasks };
      for (const observer of this.#observers) observer.applied?.(applied);
    }
    return { results };
  }

  applyTermStart(term: Term, index: LogIndex): void {
    this.state.appliedIndex = index;
    // Parts of a batch are proposed by one master in one term: the rest of these will never come.
    for (const [batch, staged] of this.state.staged) {
      if (staged.term < term) this.state.staged.delete(batch);
    }
    for (const observer of this.#observers) observer.termStarted?.(term, index);
  }

  takeDirty(): readonly KvOp[] {
    // What the old state has not written yet must not get among the records of the new one.
    if (this.#restoring) return [];
    return this.state.tasks.archive.takeDirty();
  }

  // Frozen in this call, not when the first chunk is asked for.
  snapshot(): AsyncIterable<Uint8Array> {
    const chunks = encodeSnapshot(freeze(this.state));
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve(chunks.next()),
      }),
    };
  }

  storedAt(index: LogIndex, key: string, value: Uint8Array): boolean {
    return !KNOWN_PREFIXES.some((prefix) => key.startsWith(prefix)) || indexOfValue(value) <= index;
  }

  dropBefore(index: LogIndex): readonly KvOp[] {
    return this.state.tasks.archive.dropBefore(index);
  }

  async restore(
    meta: SnapshotMeta,
    chunks: AsyncIterable<Uint8Array>,
    kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>,
  ): Promise<void> {
    // Built aside, so that readers meanwhile see the old state or the new one and nothing between them.
    const state = new TaskState(this.#segmentTasks);
    this.#restoring = true;
    try {
      const stored: (readonly [string, Uint8Array])[] = [];
      for (const prefix of ARCHIVE_PREFIXES_LOADED) {
        for await (const record of kv.iterate({ gte: prefix, lt: `${prefix}${KEY_END}` }))
          stored.push(record);
      }
      if (meta.index === 0) {
        resetToEmpty(state, kv, stored);
      } else {
        const reader = new SnapshotReader(state, kv, stored);
        for await (const chunk of chunks) reader.push(chunk);
        reader.end();
      }
      state.appliedIndex = meta.index;
      this.#state = state;
    } finally {
      this.#restoring = false;
    }
    for (const observer of this.#observers) observer.restored?.(meta.index);
  }

  /** Of what follows from the commands alone; equal on all servers at the same index. Costs a walk through all live tasks. */
  stateHash(): string {
    return stateHash(this.state);
  }
}

const KNOWN_PREFIXES: readonly string[] = [BODY_PREFIX, ...ARCHIVE_PREFIXES_LOADED];
