import { Option, type Command } from 'commander';
import { TASK_STATUSES, type TaskPage, type TaskStatus, type TaskView } from '../../api/tasks.ts';
import { LIMITS } from '../../api/limits.ts';
import { onRun, readOrStale, type Context } from '../context.ts';
import { parseMoment, wholeNumber } from '../flags.ts';
import { age, shortener, taskDuration, taskExit, taskName, taskNode } from '../format.ts';
import type { Column } from '../table.ts';
import type { Color } from '../terminal.ts';
import { watch } from '../watch.ts';

interface TasksFlags {
  readonly status?: TaskStatus;
  readonly label?: string;
  readonly name?: string;
  readonly since?: number;
  readonly until?: number;
  readonly search?: string;
  readonly limit?: number;
  readonly watch?: true;
}

const LIMIT_DEFAULT = 50;

export function addTasks(program: Command): void {
  const tasks = program
    .command('tasks')
    .summary('list tasks, newest first')
    .description('List tasks, newest first.')
    .addOption(new Option('--status <status>', 'only those').choices(TASK_STATUSES))
    .option('--label <key[=value]>', 'only those with this label')
    .option('--name <name>', 'only those with this very name')
    .option('--since <time>', 'only those submitted since (2h ago: 2h; or 2026-01-02T03:04:05Z)', parseMoment)
    .option('--until <time>', 'only those submitted before', parseMoment)
    .option('--search <text>', 'only those with this in id, name, command or script')
    .option('--limit <n>', `how many at most (default: ${LIMIT_DEFAULT})`, wholeNumber(1, 1_000_000))
    .option('--watch', 'keep the list up to date (in a pipe: print what changes)')
    .addHelpText(
      'after',
      `
Examples:
  clb tasks --status running --watch
  clb tasks --label team=ml -o json | jq '.[].result.exitCode'
  clb tasks --name nightly --since 7d
  clb tasks -q --status queued | xargs clb cancel`,
    );
  onRun(tasks, async (context, command) => {
    const flags = command.opts<TasksFlags>();
    if (flags.watch === true) {
      await watch<TaskView>(context, {
        read: async (options) => (await readTasks(context, flags, options)).tasks,
        columns: (rows) => taskColumns(context, rows),
        id: (task) => task.id,
        stamp: (task) => `${task.index}`,
        concerns: (event) => event.kind === 'task',
      });
      return 0;
    }
    const page = await readOrStale(context, (stale) => readTasks(context, flags, stale));
    context.terminal.list(page.tasks, taskColumns(context, page.tasks), (task) => task.id);
    if (page.nextCursor !== null && flags.limit === undefined && context.terminal.format === 'table') {
      const total = Object.values(page.counts).reduce((sum, count) => sum + count, 0);
      context.terminal.note(
        `clb: the newest ${page.tasks.length} are shown (${total} tasks in all); --limit N shows more`,
      );
    }
    return 0;
  });
}

/** As many pages as the limit wants. */
async function readTasks(
  context: Context,
  flags: TasksFlags,
  options: { readonly stale?: boolean } = {},
): Promise<TaskPage> {
  const clb = await context.clb();
  const limit = flags.limit ?? LIMIT_DEFAULT;
  const tasks: TaskView[] = [];
  let cursor: string | null = null;
  for (;;) {
    const page: TaskPage = await clb.list(
      {
        limit: Math.min(limit - tasks.length, LIMITS.listLimitMax),
        ...(flags.status === undefined ? {} : { status: flags.status }),
        ...(flags.label === undefined ? {} : { label: flags.label }),
        ...(flags.name === undefined ? {} : { name: flags.name }),
        ...(flags.since === undefined ? {} : { since: flags.since }),
        ...(flags.until === undefined ? {} : { until: flags.until }),
        ...(flags.search === undefined ? {} : { q: flags.search }),
        ...(cursor === null ? {} : { cursor }),
      },
      options,
    );
    tasks.push(...page.tasks);
    cursor = page.nextCursor;
    if (cursor === null || tasks.length >= limit) return { ...page, tasks };
  }
}

const STATUS_COLOR: Readonly<Record<TaskStatus, Color | null>> = {
  scheduled: 'dim',
  queued: 'yellow',
  assigned: 'blue',
  running: 'blue',
  succeeded: 'green',
  failed: 'red',
  timed_out: 'red',
  canceled: 'dim',
};

export function taskColumns(context: Context, tasks: readonly TaskView[]): readonly Column<TaskView>[] {
  const shorten = shortener(tasks.map(({ id }) => id));
  const nowMs = Date.now();
  return [
    { header: 'ID', value: (task) => shorten(task.id) },
    { header: 'NAME', value: taskName },
    {
      header: 'STATUS',
      value: (task) => task.status,
      paint: (cell, task) => context.terminal.paint(cell, STATUS_COLOR[task.status]),
    },
    { header: 'PRI', value: (task) => String(task.priority), align: 'right' },
    { header: 'NODE', value: taskNode },
    { header: 'ATTEMPT', value: (task) => String(task.attempts.length), align: 'right' },
    { header: 'AGE', value: (task) => age(task.submittedAt, nowMs), align: 'right' },
    { header: 'DURATION', value: (task) => taskDuration(task, nowMs), align: 'right' },
    { header: 'EXIT', value: taskExit, align: 'right' },
  ];
}
