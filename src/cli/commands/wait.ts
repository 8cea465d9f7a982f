import type { Command } from 'commander';
import type { TaskView } from '../../api/tasks.ts';
import { onRun, type Context } from '../context.ts';
import { exitCodeOfError, exitCodeOfTask, explain, usageError } from '../exit-code.ts';
import { shortener, taskDuration, taskExit } from '../format.ts';
import { interruptible } from '../interrupt.ts';
import { readText } from '../task-flags.ts';
import { asTaskRunner, askOnce, tellEnd } from '../waiting.ts';

export function addWait(program: Command): void {
  const wait = program
    .command('wait')
    .summary('wait until tasks are final')
    .description(
      "Wait until tasks are final. Exits with the task's own code; of several, with the first (in the order given) that " +
        'is not 0. Of more than one, a bar on stderr shows how many are final.',
    )
    .argument('<id...>', 'ids, or their first 6 characters or more; - reads them from stdin')
    .addHelpText(
      'after',
      `
Examples:
  clb wait 3f9a2c1b
  clb wait $(clb tasks -q --label run=42)
  clb submit -q --batch tasks.jsonl | clb wait -

Exit codes: the task's own; 124 timed out, 128+N ended by signal N, 130 canceled (or Ctrl-C here), 125 CLB failed.`,
    );
  onRun(wait, async (context, command) => asTaskRunner(() => waitForAll(context, idsOf(command.args))));
}

/** What became of one of the ids. */
type End =
  | { readonly kind: 'final'; readonly task: TaskView }
  | { readonly kind: 'failed'; readonly exitCode: number };

function idsOf(words: readonly string[]): readonly string[] {
  if (!words.includes('-')) return words;
  if (words.length > 1) throw usageError('give ids as arguments or on stdin (-), not both');
  const ids = readText(0, 'stdin')
    .split(/\s+/)
    .filter((id) => id !== '');
  if (ids.length === 0) throw usageError('stdin has no ids');
  return ids;
}

async function waitForAll(context: Context, ids: readonly string[]): Promise<number> {
  const { terminal } = context;
  const clb = await context.clb();
  const shorten = shortener(ids);
  const progress = ids.length > 1 ? terminal.progress('final', ids.length) : null;
  const ends = await interruptible(
    async (signal) => {
      await askOnce(clb, ids[0] ?? '', signal);
      return Promise.all(
        ids.map(async (id): Promise<End> => {
          try {
            const task = await clb.wait(id, { signal });
            progress?.step(task.status !== 'succeeded');
            tell(context, task, shorten(task.id));
            return { kind: 'final', task };
          } catch (error) {
            signal.throwIfAborted();
            progress?.step(true);
            terminal.warn(`${id}: ${explain(error).join('\n')}`);
            return { kind: 'failed', exitCode: exitCodeOfError(error, true) };
          }
        }),
      );
    },
    () => `detached, the tasks go on. Come back with: clb wait ${comeBackWith(ids.map(shorten))}`,
  ).finally(() => terminal.endProgress());
  if (progress !== null) terminal.note(`clb: ${progress.summary()}`);
  const tasks = ends.flatMap((end) => (end.kind === 'final' ? [end.task] : []));
  if (terminal.format === 'json' && !terminal.quiet)
    terminal.json(ids.length === 1 ? (tasks[0] ?? null) : tasks);
  const codes = ends.map((end) => (end.kind === 'final' ? exitCodeOfTask(end.task) : end.exitCode));
  return codes.find((code) => code !== 0) ?? 0;
}

const IDS_TOLD_MAX = 20;

function comeBackWith(ids: readonly string[]): string {
  return ids.length > IDS_TOLD_MAX ? '- (and the same ids on stdin)' : ids.join(' ');
}

/** As each of them ends. */
function tell(context: Context, task: TaskView, shortId: string): void {
  const { terminal } = context;
  if (terminal.quiet) terminal.line(task.id);
  else if (terminal.format === 'jsonl') terminal.line(JSON.stringify(task));
  else if (terminal.format === 'table') {
    terminal.line(`${shortId}  ${task.status}  exit ${taskExit(task)}  ${taskDuration(task, Date.now())}`);
    tellEnd(terminal, task);
  }
}
