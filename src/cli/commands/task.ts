import type { Command } from 'commander';
import type { AttemptView, TaskEvent, TaskView } from '../../api/tasks.ts';
import { onRun, readOrStale, type Context } from '../context.ts';
import { duration, NONE, pairs, percent, printable, taskDuration, taskExit } from '../format.ts';
import { table } from '../table.ts';

export function addTask(program: Command): void {
  const task = program
    .command('task')
    .summary('show one task: status, attempts, why it ran where it ran, timeline')
    .description(
      'Show one task: status, attempts, why it ran where it ran, and every log entry that touched it.',
    )
    .argument('<id>', 'id, or its first 6 characters or more')
    .addHelpText(
      'after',
      `
Examples:
  clb task 3f9a2c1b
  clb task 3f9a2c1b -o json | jq .result.stdout`,
    );
  onRun(task, async (context, command) => {
    const [id = ''] = command.args;
    const clb = await context.clb();
    const { view, events } = await readOrStale(context, async (options) => {
      const view = await clb.get(id, options);
      return { view, events: await clb.events(view.id, options) };
    });
    context.terminal.object({ ...view, events }, view.id, () => describe(context, view, events));
    return 0;
  });
}

function describe(context: Context, task: TaskView, events: readonly TaskEvent[]): void {
  const { terminal } = context;
  const facts = factsOf(task);
  const width = Math.max(...facts.map(([name]) => name.length));
  for (const [name, value] of facts) terminal.line(`${name.padEnd(width)}  ${value}`);
  if (task.attempts.length > 0) section(context, 'Attempts', attemptTable(task.attempts));
  const placement = task.attempts.at(-1)?.placement ?? null;
  if (placement !== null) {
    section(context, 'Placement of the last attempt', [
      placement.reason,
      ...candidateTable(placement, task.attempts.at(-1)?.node),
    ]);
  }
  if (events.length > 0) section(context, 'Timeline', timeline(events));
  for (const stream of ['stdout', 'stderr'] as const) {
    const text = task.result?.[stream] ?? '';
    if (text !== '') section(context, streamTitle(task, stream), text.replace(/\n$/, '').split('\n'));
  }
}

function section(context: Context, title: string, lines: readonly string[]): void {
  context.terminal.line('');
  context.terminal.line(context.terminal.paint(title, 'bold'));
  for (const line of lines) context.terminal.line(`  ${line}`.trimEnd());
}

/** Name and value of what there is to tell; what was left at its default is left out. */
function factsOf(task: TaskView): readonly (readonly [string, string])[] {
  const facts: (readonly [string, string | null])[] = [
    ['Id', task.id],
    ['Name', task.name === null ? null : printable(task.name)],
    ['Status', task.status],
    ['Waits for', task.pendingReason],
    ['Exit', taskExit(task) === NONE ? null : taskExit(task)],
    ['Runs', whatRuns(task)],
    ['Priority', String(task.priority)],
    ['Submitted', task.submittedAt],
    ['Started', task.startedAt],
    ['Finished', task.finishedAt],
    ['Duration', task.startedAt === null ? null : taskDuration(task, Date.now())],
    ['Attempts', `${task.attempts.length} (of its own: ${task.maxAttempts} at most)`],
    ['Timeout', task.timeoutMs === null ? null : duration(task.timeoutMs)],
    ['Reserves', reserves(task)],
    ['Folder', task.cwd],
    ['Variables', Object.keys(task.env).length === 0 ? null : pairs(task.env)],
    ['Labels', Object.keys(task.labels).length === 0 ? null : pairs(task.labels)],
    ['Constraints', Object.keys(task.constraints).length === 0 ? null : pairs(task.constraints)],
    ['After', task.after.length === 0 ? null : task.after.join(', ')],
    ['Retry of', task.retryOf],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
}

function whatRuns(task: TaskView): string {
  if (task.command !== null) return printable(task.command.map(quoted).join(' '));
  const lines = (task.script ?? '').split('\n').length;
  return `a script of ${lines} ${lines === 1 ? 'line' : 'lines'}, by ${task.interpreter ?? 'python3'}`;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function reserves(task: TaskView): string | null {
  const parts = [
    task.cpu > 0 ? `${task.cpu} cores` : null,
    task.memoryMb > 0 ? `${task.memoryMb} MiB` : null,
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(', ');
}

function streamTitle(task: TaskView, stream: 'stdout' | 'stderr'): string {
  const bytes = (stream === 'stdout' ? task.result?.stdoutBytes : task.result?.stderrBytes) ?? 0;
  return `${stream} (${bytes} bytes${task.result?.truncated === true ? ', head and tail kept here; all of it: clb logs' : ''})`;
}

function attemptTable(attempts: readonly AttemptView[]): readonly string[] {
  return table<AttemptView>(
    [
      { header: 'NO', value: ({ number }) => String(number), align: 'right' },
      { header: 'NODE', value: ({ node }) => node },
      { header: 'ASSIGNED', value: ({ assignedAt }) => assignedAt },
      { header: 'STARTED', value: ({ startedAt }) => startedAt ?? NONE },
      { header: 'FINISHED', value: ({ finishedAt }) => finishedAt ?? NONE },
      { header: 'OUTCOME', value: ({ outcome }) => outcome ?? 'running' },
      { header: 'EXIT', value: ({ signal, exitCode }) => signal ?? exitCode?.toString() ?? NONE },
      { header: 'REASON', value: ({ reason }) => reason ?? NONE },
    ],
    attempts,
  );
}

type Placement = NonNullable<AttemptView['placement']>;

function candidateTable({ candidates }: Placement, chosen: string | undefined): readonly string[] {
  if (candidates.length === 0) return [];
  return table<Placement['candidates'][number]>(
    [
      { header: 'NODE', value: ({ node }) => node },
      { header: 'CPU', value: ({ cpu }) => percent(cpu), align: 'right' },
      { header: 'MEM', value: ({ memory }) => percent(memory), align: 'right' },
      { header: 'RUNNING', value: ({ running, slots }) => `${running}/${slots}`, align: 'right' },
      { header: 'RESERVED', value: reserved, align: 'right' },
      { header: 'SPEED', value: ({ speed }) => speed?.toFixed(2) ?? NONE, align: 'right' },
      { header: 'SCORE', value: ({ score }) => score?.toFixed(3) ?? NONE, align: 'right' },
      {
        header: 'WHY NOT',
        value: ({ node, why }) => why ?? (node === chosen ? 'chosen' : 'higher score, or used later'),
      },
    ],
    candidates,
  );
}

/** Cores and memory that the tasks there had reserved. */
function reserved({ cpuReserved, memoryReservedMb }: Placement['candidates'][number]): string {
  const parts = [
    ...(cpuReserved === null || cpuReserved === 0 ? [] : [`${cpuReserved} cores`]),
    ...(memoryReservedMb === null || memoryReservedMb === 0 ? [] : [`${memoryReservedMb} MiB`]),
  ];
  return parts.length === 0 ? NONE : parts.join(', ');
}

function timeline(events: readonly TaskEvent[]): readonly string[] {
  return table<TaskEvent>(
    [
      { header: 'TIME', value: ({ time }) => time },
      { header: 'INDEX', value: ({ index }) => String(index), align: 'right' },
      { header: 'TERM', value: ({ term }) => String(term), align: 'right' },
      { header: 'WHAT', value: ({ what }) => what },
      { header: 'ATTEMPT', value: ({ attempt }) => attempt?.toString() ?? NONE, align: 'right' },
      { header: 'NODE', value: ({ node }) => node ?? NONE },
      { header: 'WHY', value: ({ why }) => why ?? NONE },
    ],
    events,
  );
}
