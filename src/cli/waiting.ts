/** What the commands have in common that end with a task's own exit code. */
import type { TaskView } from '../api/tasks.ts';
import type { Clb } from '../sdk/client.ts';
import { NoServerError } from '../sdk/errors.ts';
import type { Context } from './context.ts';
import { CliError, exitCodeOfError, explain } from './exit-code.ts';
import { taskExit } from './format.ts';
import type { Terminal } from './terminal.ts';

/** Runs `work`; failures of CLB itself end the command with 125. */
export async function asTaskRunner<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CliError(exitCodeOfError(error, true), explain(error).join('\n'), { cause: error });
  }
}

/**
 * To be called before a wait that outlasts outages: that patience is for a cluster that was there, not for an address at which
 * nobody listens. What else is wrong, the wait itself will tell. @throws NoServerError
 */
export async function askOnce(clb: Clb, id: string, signal: AbortSignal): Promise<void> {
  try {
    await clb.get(id, { signal });
  } catch (error) {
    if (error instanceof NoServerError) throw error;
  }
}

/** Waits for all of a batch, with a bar; resolves with them in their order. Tells of those that did not succeed. */
export async function waitForTasks(
  context: Context,
  tasks: readonly TaskView[],
  signal: AbortSignal,
): Promise<readonly TaskView[]> {
  const { terminal } = context;
  const clb = await context.clb();
  const progress = terminal.progress('final', tasks.length);
  const finals = await Promise.all(
    tasks.map(async (task) => {
      const final = await clb.wait(task, { signal });
      progress.step(final.status !== 'succeeded');
      if (terminal.format === 'jsonl' && !terminal.quiet) terminal.line(JSON.stringify(final));
      else tellEnd(terminal, final);
      return final;
    }),
  ).finally(() => terminal.endProgress());
  if (terminal.format === 'json' && !terminal.quiet) terminal.json(finals);
  terminal.note(`clb: ${progress.summary()}`);
  return finals;
}

/** Says on stderr how a task ended, unless it simply succeeded. */
export function tellEnd(terminal: Terminal, task: TaskView): void {
  if (task.status === 'succeeded') return;
  const reason = task.attempts.at(-1)?.reason ?? task.pendingReason;
  const how = task.status.replace('_', ' ');
  const exit = task.status === 'failed' && taskExit(task) !== '-' ? ` (${exitText(task)})` : '';
  terminal.note(`clb: task ${task.id} ${how}${exit}${reason === null ? '' : `: ${reason}`}`);
}

function exitText(task: TaskView): string {
  return task.result?.signal == null ? `exit code ${taskExit(task)}` : `ended by ${task.result.signal}`;
}
