/** Payloads that leave a trace: each writes its own start and end, so that tests need not trust the cluster. */
import { readFileSync } from 'node:fs';
import type { TaskRequest } from '../../src/api/tasks.ts';

const RECORDER = `
import os, sys, time
fd = os.open(os.environ['RECORD'], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
def note(what):
    os.write(fd, f"{what} {os.environ['CLB_TASK_ID']} {os.environ['CLB_ATTEMPT']} {os.getpid()} {time.monotonic_ns()}\\n".encode())
note('start')
`;

/** Runs until the file \`gate\` exists: holds the system at "a worker has it and has not answered". */
export function gatedPayload(recordFile: string, gateFile: string): TaskRequest {
  return {
    script: `${RECORDER}
while not os.path.exists(os.environ['GATE']):
    time.sleep(0.02)
note('end')
print('passed the gate')
`,
    env: { RECORD: recordFile, GATE: gateFile },
  };
}

/** Runs for `seconds`, beating every 20 ms so that a gap (a pause) shows, and prints `text`. */
export function beatingPayload(
  recordFile: string,
  seconds: number,
  text: string,
  everySeconds = 0.02,
): TaskRequest {
  return {
    script: `${RECORDER}
end = time.monotonic() + ${seconds}
while time.monotonic() < end:
    note('beat')
    time.sleep(${everySeconds})
note('end')
print(${JSON.stringify(text)})
`,
    env: { RECORD: recordFile },
  };
}

/** Beats until the file `gate` exists, then prints `text`. */
export function beatingUntil(
  recordFile: string,
  gateFile: string,
  text: string,
  everySeconds: number,
): TaskRequest {
  return {
    script: `${RECORDER}
while not os.path.exists(os.environ['GATE']):
    note('beat')
    time.sleep(${everySeconds})
note('end')
print(${JSON.stringify(text)})
`,
    env: { RECORD: recordFile, GATE: gateFile },
  };
}

/** The same in the shell, for hundreds of tasks: a Python interpreter may take longer to start than the task itself. */
export function beatingCommand(recordFile: string, beats: number, text: string): TaskRequest {
  const note = (what: string): string =>
    `echo "${what} $CLB_TASK_ID $CLB_ATTEMPT $$ $(date +%s%N)" >> "$RECORD"`;
  return {
    command: [
      'sh',
      '-c',
      `${note('start')}; for i in $(seq ${beats}); do sleep 0.02; ${note('beat')}; done; ${note('end')}; echo "${text}"`,
    ],
    env: { RECORD: recordFile },
  };
}

export interface Trace {
  readonly what: 'start' | 'beat' | 'end';
  readonly task: string;
  readonly attempt: number;
  readonly pid: number;
  /** Of one clock for all processes of this machine. */
  readonly atNs: bigint;
}

export function readTrace(recordFile: string): readonly Trace[] {
  let text: string;
  try {
    text = readFileSync(recordFile, 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [what, task, attempt, pid, at] = line.split(' ');
      return {
        what: what as Trace['what'],
        task: task!,
        attempt: Number(attempt),
        pid: Number(pid),
        atNs: BigInt(at!),
      };
    });
}

/**
 * Tasks of which two attempts were alive at once. An attempt that was killed leaves no end: it counts as alive up to its
 * last trace, which (with beats) is when it last ran.
 */
export function overlaps(trace: readonly Trace[]): readonly string[] {
  const found: string[] = [];
  const attempts = new Map<string, { from: bigint; to: bigint }[]>();
  for (const [key, entries] of groupByProcess(trace)) {
    const task = key.split(' ')[0]!;
    const list = attempts.get(task) ?? [];
    list.push({ from: entries[0]!.atNs, to: entries.at(-1)!.atNs });
    attempts.set(task, list);
  }
  for (const [task, list] of attempts) {
    list.sort((a, b) => (a.from < b.from ? -1 : 1));
    for (let i = 1; i < list.length; i += 1) if (list[i]!.from < list[i - 1]!.to) found.push(task);
  }
  return found;
}

function groupByProcess(trace: readonly Trace[]): Map<string, Trace[]> {
  const groups = new Map<string, Trace[]>();
  for (const entry of trace) {
    const key = `${entry.task} ${entry.pid}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** How long the processes of a task ran, in milliseconds; `wasted`: all but the last one. A pause counts as running here. */
export function ranMs(
  trace: readonly Trace[],
  task: string,
): { readonly last: number; readonly wasted: number } {
  const runs = [...groupByProcess(trace.filter((entry) => entry.task === task)).values()];
  const lengths = runs.map((run) => Number(run.at(-1)!.atNs - run[0]!.atNs) / 1e6);
  const last = lengths.pop() ?? 0;
  return { last, wasted: lengths.reduce((sum, ms) => sum + ms, 0) };
}
