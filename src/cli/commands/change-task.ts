import type { Command } from 'commander';
import type { TaskView } from '../../api/tasks.ts';
import type { Clb } from '../../sdk/client.ts';
import { onRun, type Context } from '../context.ts';
import { exitCodeOfError, explain } from '../exit-code.ts';

export function addCancel(program: Command): void {
  const cancel = program
    .command('cancel')
    .summary('end tasks, or keep them from starting')
    .description(
      'Cancel tasks: one that runs gets SIGTERM and, 5 s later, SIGKILL; one that waits never starts. Final ones are refused.',
    )
    .argument('<id...>', 'ids, or their first 6 characters or more')
    .addHelpText(
      'after',
      `
Examples:
  clb cancel 3f9a2c1b
  clb tasks -q --label run=42 --status queued | xargs clb cancel`,
    );
  onRun(cancel, async (context, command) =>
    changeEach(context, command.args, async (clb, id) => {
      const task = await clb.cancel(id);
      const done = task.status === 'canceled' ? 'canceled' : 'is being canceled';
      context.terminal.note(`clb: ${task.id} ${done}`);
      return task;
    }),
  );
}

export function addRetry(program: Command): void {
  const retry = program
    .command('retry')
    .summary('run final tasks again, as new ones')
    .description('Submit final tasks again: each becomes a new task of the same content. Prints the new ids.')
    .argument('<id...>', 'ids, or their first 6 characters or more')
    .addHelpText(
      'after',
      `
Examples:
  clb retry 3f9a2c1b
  clb retry $(clb tasks -q --status failed)`,
    );
  onRun(retry, async (context, command) =>
    changeEach(context, command.args, async (clb, id) => {
      const task = await clb.retry(id);
      context.terminal.note(`clb: ${id} runs again as ${task.id}`);
      return task;
    }),
  );
}

/** Each by itself: one that fails does not keep the others from being done. The first failure's code is ours. */
async function changeEach(
  context: Context,
  ids: readonly string[],
  change: (clb: Clb, id: string) => Promise<TaskView>,
): Promise<number> {
  const { terminal } = context;
  const clb = await context.clb();
  const tasks: TaskView[] = [];
  let exitCode = 0;
  for (const id of ids) {
    try {
      const task = await change(clb, id);
      tasks.push(task);
      if (terminal.format === 'table' || terminal.quiet) terminal.line(task.id);
      else if (terminal.format === 'jsonl') terminal.line(JSON.stringify(task));
    } catch (error) {
      terminal.warn(`${id}: ${explain(error).join('\n')}`);
      if (exitCode === 0) exitCode = exitCodeOfError(error);
    }
  }
  if (terminal.format === 'json' && !terminal.quiet)
    terminal.json(ids.length === 1 ? (tasks[0] ?? null) : tasks);
  return exitCode;
}
