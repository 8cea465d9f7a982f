/**
 * How fast the state machine applies: `node --import tsx bench/state-machine.ts [tasks]`.
 * One core, no disk, no network: submit+assign in one entry, start+finish in another, 64 tasks per entry.
 */
import { encodeEntry } from '../src/scheduler/state/ops.ts';
import { encodeRows } from '../src/scheduler/state/candidate-rows.ts';
import type { Op } from '../src/scheduler/state/ops.ts';
import { TaskMachine } from '../src/scheduler/task-machine.ts';
import type { LogIndex, Term } from '../src/raft/core/types.ts';
import { restoreMachine } from '../test/scheduler/machine-driver.ts';
import { MemoryKv } from '../test/scheduler/memory-kv.ts';

const TASKS = Number(process.argv[2] ?? 200_000);
const PER_ENTRY = 64;

const kv = new MemoryKv();
const machine = new TaskMachine();
await restoreMachine(machine, 0, 0, [], kv);
let events = 0;
machine.observe({ applied: (entry) => void (events += entry.events.length) });

let index = 0;
const now = Date.parse('2026-01-01T00:00:00Z');
function apply(ops: readonly Op[]): void {
  index += 1;
  const payload = encodeEntry(
    now + index,
    ops.map((op) => JSON.stringify(op)),
  );
  machine.apply({ index: index as LogIndex, term: 1 as Term, payload });
  kv.write(machine.takeDirty());
}

function submits(from: number): Op[] {
  return Array.from({ length: PER_ENTRY }, (_, at) => ({
    op: 'submit',
    atomic: false,
    tasks: [{ id: id(from + at), spec: { command: ['/bin/true'] }, key: `key-${from + at}`, content: 'x' }],
  }));
}

/** Spread like random ids, but the same in every run. */
function id(number: number): string {
  return (BigInt(number) * 0x9e3779b97f4a7c15n).toString(32).padStart(16, '0').slice(-16);
}

function report(what: string, count: number, startedAt: number): void {
  const seconds = (performance.now() - startedAt) / 1_000;
  const rss = Math.round(process.memoryUsage().rss / 1024 / 1024);
  console.log(
    `${what}: ${Math.round(count / seconds)}/s (${count} in ${seconds.toFixed(2)} s, RSS ${rss} MiB)`,
  );
}

apply([
  {
    op: 'nodeUp',
    node: {
      id: 'server1',
      role: 'server',
      address: '127.0.0.1:3002',
      slots: PER_ENTRY,
      cpus: 2,
      memoryMb: 4_096,
      labels: {},
      instance: 'a',
    },
  },
]);

const cycles = performance.now();
for (let from = 0; from < TASKS; from += PER_ENTRY) {
  const placement = {
    reason: 'lowest score of 3 nodes',
    rows: encodeRows([
      ['server1', 12.5, 33.1, 2, 4, 95.6, null, 0, 0, 1],
      ['server2', 22.5, 31.1, 2, 4, 103.6, null, 0, 0, 1],
      ['server3', 0.5, 43.1, 4, 4, null, 'all 4 slots are taken', 0, 0, 1],
    ]),
  };
  const assigns = Array.from({ length: PER_ENTRY }, (_, at): Op => ({
    op: 'assign',
    task: id(from + at),
    node: 'server1',
    placement,
  }));
  apply([...submits(from), ...assigns]);
  const token = index;
  const ends = Array.from({ length: PER_ENTRY }, (_, at): Op[] => [
    { op: 'start', task: id(from + at), token },
    {
      op: 'finish',
      task: id(from + at),
      token,
      outcome: 'succeeded',
      reason: null,
      runMs: 3,
      result: {
        exitCode: 0,
        signal: null,
        stdout: 'sum 42\n',
        stderr: '',
        stdoutBytes: 7,
        stderrBytes: 0,
        truncated: false,
      },
    },
  ]);
  apply(ends.flat());
}
report('task cycles (submit, assign, start, finish; encoding included)', TASKS, cycles);

const queueing = performance.now();
for (let from = TASKS; from < 2 * TASKS; from += PER_ENTRY) apply(submits(from));
report('submits that stay queued', TASKS, queueing);

const freezing = performance.now();
const snapshot = machine.snapshot();
console.log(
  `freezing ${machine.state.tasks.liveCount} live tasks: ${(performance.now() - freezing).toFixed(1)} ms`,
);
const chunks: Uint8Array[] = [];
let bytes = 0;
let longest = 0;
let last = performance.now();
for await (const chunk of snapshot) {
  chunks.push(chunk);
  bytes += chunk.byteLength;
  longest = Math.max(longest, performance.now() - last);
  last = performance.now();
}
report(
  `snapshot of ${(bytes / 1e6).toFixed(0)} MB, longest chunk ${longest.toFixed(1)} ms`,
  machine.state.tasks.liveCount,
  freezing,
);

const restoring = performance.now();
const restored = new TaskMachine();
await restoreMachine(restored, index, 1, chunks, kv);
report('restored', restored.state.tasks.liveCount + restored.state.tasks.archive.size, restoring);
if (restored.stateHash() !== machine.stateHash()) throw new Error('the restored state is another one');
if (events === 0) throw new Error('nothing was reported');
