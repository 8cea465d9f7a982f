import { Argument, type Command } from 'commander';
import type { QueueView } from '../../api/views.ts';
import { onRun, readOrStale, type Context } from '../context.ts';
import { usageError } from '../exit-code.ts';
import type { Column } from '../table.ts';
import { watch } from '../watch.ts';

const ACTIONS = ['pause', 'resume'] as const;

export function addQueue(program: Command): void {
  const queue = program
    .command('queue')
    .summary('see, pause and resume the whole queue')
    .description(
      'Show how many tasks wait and run, or pause the whole queue: while it is paused tasks are accepted but not ' +
        'placed on nodes; what runs goes on.',
    )
    .addArgument(new Argument('[action]', 'what to do with it (default: show it)').choices(ACTIONS))
    .option('--watch', 'keep what is shown up to date (in a pipe: print what changes)')
    .addHelpText(
      'after',
      `
Examples:
  clb queue
  clb queue --watch
  clb queue pause && make upgrade && clb queue resume
  clb queue -o json | jq .lengths.queued`,
    );
  onRun(queue, async (context, command) => {
    const action = (command.args as readonly (typeof ACTIONS)[number][])[0];
    const watches = command.opts<{ watch?: true }>().watch === true;
    if (action !== undefined) {
      if (watches) throw usageError(`--watch does not go with ${action}`);
      return setPaused(context, action === 'pause');
    }
    return watches ? watchQueue(context) : showQueue(context);
  });
}

async function showQueue(context: Context): Promise<number> {
  const clb = await context.clb();
  const queue = await readOrStale(context, (options) => clb.queue(options));
  context.terminal.object(queue, stateOf(queue), () =>
    context.terminal.list([queue], columns(context), stateOf),
  );
  return 0;
}

async function watchQueue(context: Context): Promise<number> {
  const clb = await context.clb();
  await watch<QueueView>(context, {
    read: async (options) => [await clb.queue(options)],
    columns: () => columns(context),
    id: stateOf,
    stamp: (queue) => JSON.stringify(queue),
    concerns: (event) => event.kind === 'task',
  });
  return 0;
}

async function setPaused(context: Context, paused: boolean): Promise<number> {
  const clb = await context.clb();
  const queue = await clb.pauseQueue(paused);
  context.terminal.object(queue, stateOf(queue), () =>
    context.terminal.line(
      paused
        ? `the queue is paused, ${queue.lengths.running} running tasks go on; resume it with: clb queue resume`
        : `the queue goes on, ${queue.lengths.queued} tasks are queued`,
    ),
  );
  return 0;
}

function stateOf(queue: QueueView): string {
  return queue.paused ? 'paused' : 'active';
}

function columns(context: Context): readonly Column<QueueView>[] {
  const number = (header: string, status: keyof QueueView['lengths']): Column<QueueView> => ({
    header,
    value: (queue) => String(queue.lengths[status]),
    align: 'right',
  });
  return [
    {
      header: 'QUEUE',
      value: stateOf,
      paint: (cell, queue) => context.terminal.paint(cell, queue.paused ? 'yellow' : 'green'),
    },
    number('SCHEDULED', 'scheduled'),
    number('QUEUED', 'queued'),
    number('ASSIGNED', 'assigned'),
    number('RUNNING', 'running'),
  ];
}
