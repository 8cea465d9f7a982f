import type { Command } from 'commander';
import type { ScheduleView } from '../../api/schedules.ts';
import { onRun, readOrStale, type Context } from '../context.ts';
import { usageError } from '../exit-code.ts';
import { age } from '../format.ts';
import type { Column } from '../table.ts';
import { addTaskOptions, taskRequest, type TaskFlags } from '../task-flags.ts';

const SHORT_ID_CHARS = 8;

export function addSchedule(program: Command): void {
  const schedule = program
    .command('schedule')
    .summary('make a task again and again, by a cron expression')
    .description(
      'Tasks that are made again and again. Each time makes one task, whoever is master then; of times that passed while ' +
        'there was none, one is made up for. A task is made whether or not the one before has ended.',
    )
    .addHelpText(
      'after',
      `
Examples:
  clb schedule add "0 3 * * *" --tz Europe/Berlin -f backup.py
  clb schedule list
  clb tasks --label schedule=ID`,
    );
  addAdd(schedule);
  addList(schedule);
  addRemove(schedule);
}

function addAdd(schedule: Command): void {
  // The expression comes before the task's own words.
  const add = schedule
    .command('add')
    .argument('<cron>', 'minute hour day month weekday (seconds may stand in front)');
  addTaskOptions(add)
    .summary('add one')
    .description('Make a task each time the cron expression says. Prints the id of the schedule.')
    .option('--tz <zone>', 'time zone of the expression, as in Europe/Berlin (default: UTC)')
    .addHelpText(
      'after',
      `
Examples:
  clb schedule add "*/15 * * * *" -- ./sync.sh
  clb schedule add "0 9 * * 1-5" --tz America/New_York --timeout 10m -f report.py`,
    );
  onRun(add, async (context, command) => {
    const flags = command.opts<TaskFlags & { readonly tz?: string }>();
    if (flags.after !== undefined) throw usageError('--after does not go with a schedule');
    if (flags.idempotencyKey !== undefined) throw usageError('--idempotency-key does not go with a schedule');
    const [cron = '', ...words] = command.args;
    const clb = await context.clb();
    const made = await clb.addSchedule({
      cron,
      ...(flags.tz === undefined ? {} : { tz: flags.tz }),
      task: taskRequest(flags, words),
    });
    context.terminal.object(made, made.id, () => {
      context.terminal.line(made.id);
      context.terminal.note(
        `clb: first at ${made.nextAt ?? 'no time'}; its tasks: clb tasks --label schedule=${made.id}`,
      );
    });
    return 0;
  });
}

function addList(schedule: Command): void {
  const list = schedule
    .command('list')
    .summary('list them')
    .description('List the schedules, in the order in which they were added.')
    .addHelpText('after', '\nExample:\n  clb schedule list -o json | jq -r ".[].nextAt"');
  onRun(list, async (context) => {
    const clb = await context.clb();
    const schedules = await readOrStale(context, (options) => clb.schedules(options));
    context.terminal.list(schedules, columns(context), ({ id }) => id);
    return 0;
  });
}

function addRemove(schedule: Command): void {
  const remove = schedule
    .command('remove')
    .argument('<id>', 'id of the schedule, or the beginning of it')
    .summary('remove one')
    .description('Remove a schedule. Tasks it has made go on.')
    .addHelpText('after', '\nExample:\n  clb schedule remove 5v1r0c8m');
  onRun(remove, async (context, command) => {
    const clb = await context.clb();
    const id = await clb.removeSchedule(command.args[0] ?? '');
    context.terminal.object({ id }, id, () => context.terminal.note(`clb: schedule ${id} is removed`));
    return 0;
  });
}

function columns(context: Context): readonly Column<ScheduleView>[] {
  const nowMs = Date.now();
  const short = context.terminal.format === 'table';
  return [
    { header: 'ID', value: ({ id }) => (short ? id.slice(0, SHORT_ID_CHARS) : id) },
    { header: 'CRON', value: ({ cron }) => cron },
    { header: 'ZONE', value: ({ tz }) => tz },
    { header: 'NEXT', value: ({ nextAt }) => nextAt ?? 'never' },
    { header: 'LAST', value: ({ lastAt }) => (lastAt === null ? '' : age(lastAt, nowMs)) },
    { header: 'RUNS', value: ({ runs }) => String(runs), align: 'right' },
    { header: 'MISSED', value: ({ missed }) => String(missed), align: 'right' },
    { header: 'TASK', value: ({ task }) => task.name ?? task.command?.join(' ') ?? 'script' },
  ];
}
