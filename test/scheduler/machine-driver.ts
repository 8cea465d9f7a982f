import assert from 'node:assert/strict';
import type { LogIndex, NodeId, SnapshotMeta, Term } from '../../src/raft/core/types.ts';
import type { KvStore } from '../../src/raft/storage/kv-store.ts';
import type { TaskRequest, TaskResult } from '../../src/api/tasks.ts';
import { encodeEntry } from '../../src/scheduler/state/ops.ts';
import type { NewTask, Op, OpResult } from '../../src/scheduler/state/ops.ts';
import type { NodeRegistration, TaskRecord } from '../../src/scheduler/state/records.ts';
import { TaskMachine } from '../../src/scheduler/task-machine.ts';
import { MemoryKv } from './memory-kv.ts';

/** One server's state machine with a log in front of it. */
export class MachineDriver {
  readonly machine: TaskMachine;
  kv = new MemoryKv();
  readonly log: { readonly index: number; readonly term: number; readonly payload: Uint8Array | null }[] = [];
  /** Of every entry applied, in order. */
  readonly results: (readonly OpResult[])[] = [];
  index = 0;
  term = 1;
  now = 1_000_000;

  /** `segmentTasks`: small, so that few finished tasks make many segments in the store. */
  constructor(segmentTasks = 256) {
    this.machine = new TaskMachine({ segmentTasks });
  }

  static async create(segmentTasks?: number): Promise<MachineDriver> {
    const driver = new MachineDriver(segmentTasks);
    await restoreMachine(driver.machine, 0, 0, [], driver.kv);
    return driver;
  }

  apply(...ops: readonly Op[]): readonly OpResult[] {
    this.index += 1;
    const payload = encodeEntry(
      this.now,
      ops.map((op) => JSON.stringify(op)),
    );
    this.log.push({ index: this.index, term: this.term, payload });
    const results = applyAt(this.machine, this.index, this.term, payload);
    this.results.push(results);
    return results;
  }

  /** Applies one op and returns its result. */
  one(op: Op): OpResult {
    const [result] = this.apply(op);
    assert.ok(result);
    return result;
  }

  newTerm(): void {
    this.term += 1;
    this.index += 1;
    this.log.push({ index: this.index, term: this.term, payload: null });
    this.machine.applyTermStart(this.term as Term, this.index as LogIndex);
  }

  flush(): void {
    this.kv.write(this.machine.takeDirty());
  }

  /** Writes until nothing is handed out any more, and then knows that it is written. */
  flushAll(): void {
    for (;;) {
      const ops = this.machine.takeDirty();
      if (ops.length === 0) return;
      this.kv.write(ops);
    }
  }

  async snapshot(): Promise<readonly Uint8Array[]> {
    return collect(this.machine.snapshot());
  }

  task(id: string): TaskRecord {
    const { tasks } = this.machine.state;
    const live = tasks.get(id);
    if (live !== undefined) return live;
    const finishSeq = tasks.archive.findId(id);
    assert.notEqual(finishSeq, 0, `there is no task ${id}`);
    return tasks.archive.read(finishSeq);
  }

  submit(id: string, spec: Partial<TaskRequest> = {}, more: Partial<NewTask> = {}): OpResult {
    return this.one({ op: 'submit', atomic: true, tasks: [newTask(id, spec, more)] });
  }

  nodeUp(id: string, more: Partial<NodeRegistration> = {}): void {
    assert.equal(this.one({ op: 'nodeUp', node: registration(id, more) }).kind, 'done');
  }

  /** Assigns and returns the token. */
  assign(task: string, node: string): number {
    const result = this.one({ op: 'assign', task, node, placement: { reason: 'test', rows: '' } });
    assert.equal(result.kind, 'done', JSON.stringify(result));
    return this.index;
  }

  finish(
    task: string,
    token: number,
    outcome: 'succeeded' | 'failed' | 'timed_out' | 'canceled' = 'succeeded',
    exitCode = outcome === 'succeeded' ? 0 : 1,
  ): OpResult {
    return this.one({
      op: 'finish',
      task,
      token,
      outcome,
      reason: null,
      runMs: 5,
      result: taskResult({ exitCode }),
    });
  }

  /** Submits, assigns, starts and finishes. */
  run(id: string, node = 'n1'): void {
    this.submit(id);
    const token = this.assign(id, node);
    this.apply({ op: 'start', task: id, token });
    assert.equal(this.finish(id, token).kind, 'done');
  }
}

export function applyAt(
  machine: TaskMachine,
  index: number,
  term: number,
  payload: Uint8Array,
): readonly OpResult[] {
  return machine.apply({ index: index as LogIndex, term: term as Term, payload }).results;
}

export async function restoreMachine(
  machine: TaskMachine,
  index: number,
  term: number,
  chunks: readonly Uint8Array[],
  kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>,
): Promise<void> {
  const meta: SnapshotMeta = {
    index: index as LogIndex,
    term: term as Term,
    config: { voters: ['server1' as NodeId], learners: [] },
  };
  await machine.restore(meta, iterate(chunks), kv);
}

async function* iterate(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* await Promise.resolve(chunks);
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<readonly Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

export function newTask(id: string, spec: Partial<TaskRequest> = {}, more: Partial<NewTask> = {}): NewTask {
  return { id, spec: { command: ['true'], ...spec }, ...more };
}

export function registration(id: string, more: Partial<NodeRegistration> = {}): NodeRegistration {
  return {
    id,
    role: 'worker',
    address: '127.0.0.1:3006',
    slots: 4,
    cpus: 4,
    memoryMb: 8_192,
    labels: {},
    instance: `${id}-instance`,
    ...more,
  };
}

export function taskResult(more: Partial<TaskResult> = {}): TaskResult {
  return {
    exitCode: 0,
    signal: null,
    stdout: '',
    stderr: '',
    stdoutBytes: 0,
    stderrBytes: 0,
    truncated: false,
    ...more,
  };
}
