import type { Command } from 'commander';
import { randomUUID } from 'node:crypto';
import type { TaskRequest, TaskView } from '../../api/tasks.ts';
import { onRun, type Context } from '../context.ts';
import { exitCodeOfTask } from '../exit-code.ts';
import { interruptible } from '../interrupt.ts';
import { streamTask } from '../live-output.ts';
import { scriptHint } from '../script-hint.ts';
import { submitBatch, type BatchFlags } from '../submit-batch.ts';
import { addTaskOptions, resolveAfter, taskRequest, type TaskFlags } from '../task-flags.ts';
import type { Terminal } from '../terminal.ts';
import { asTaskRunner, tellEnd } from '../waiting.ts';

export function addSubmit(program: Command): void {
  const submit = addTaskOptions(program.command('submit'))
    .summary('give the cluster a task')
    .description('Give the cluster a task. Prints its id once a majority of the servers has it on disk.')
    .option('--wait', "wait until it is final, print its result, and exit with the task's own code")
    .option(
      '--batch <file>',
      'a task a line (- reads them from stdin): JSON, a shell command, or an argument of the command after --',
    )
    .addHelpText(
      'after',
      `
Examples:
  clb submit -- sleep 30
  clb submit -f job.py --timeout 5m --max-attempts 3
  clb submit --label team=ml --constraint gpu=yes --memory 2G -f train.py
  echo 'print(6 * 7)' | clb submit -f - --wait
  id=$(clb submit -q -- make test) && clb wait $id

Many at once (every line a task; the other flags hold for all of them):
  clb submit --batch tasks.jsonl                        {"script":"print(1)","priority":80}
  clb submit --batch commands.txt --timeout 5m          convert in.png out.jpg
  ls *.png | clb submit --batch - -- convert {} {}.jpg  a line stands in place of {}
  clb submit --batch tasks.jsonl --idempotency-key sweep-7   to go on after an interruption`,
    );
  onRun(submit, async (context, command) => {
    const flags = command.opts<BatchFlags>();
    const { batch } = flags;
    if (batch !== undefined) {
      const all = (): Promise<number> => submitBatch(context, { ...flags, batch }, command.args);
      return flags.wait === true ? asTaskRunner(all) : all();
    }
    const request = taskOf(context, flags, command.args);
    if (flags.wait === true) return asTaskRunner(() => submitAndWait(context, flags, request));
    const task = await submitOnce(context, flags, request);
    context.terminal.object(task, task.id, () => {
      context.terminal.line(task.id);
      context.terminal.note(`clb: accepted; follow it with: clb logs -f ${task.id.slice(0, 8)}`);
    });
    return 0;
  });
}

export function addRun(program: Command): void {
  const run = addTaskOptions(program.command('run'))
    .summary('run a task and stream its output, as if it ran here')
    .description(
      'Run a task on the cluster as if it ran here: its stdout and stderr are streamed to ours, and we exit with its ' +
        'code. Ctrl-C leaves it running. With -o json its final state is printed in place of its output.',
    )
    .addHelpText(
      'after',
      `
Examples:
  clb run -- uname -a
  clb run -f job.py --env MODE=fast
  seq 1000 | clb run --stdin -- wc -l

Exit codes: the task's own; 124 timed out, 128+N ended by signal N, 130 canceled (or Ctrl-C here), 125 CLB failed.`,
    );
  onRun(run, async (context, command) => {
    const flags = command.opts<TaskFlags>();
    const request = taskOf(context, flags, command.args);
    return asTaskRunner(() => {
      if (context.terminal.format === 'table') return runStreaming(context, flags, request);
      return submitAndWait(context, flags, request);
    });
  });
}

function taskOf(context: Context, flags: TaskFlags, words: readonly string[]): TaskRequest {
  const request = taskRequest(flags, words);
  const hint = scriptHint(words);
  if (hint !== null) context.terminal.note(hint);
  return request;
}

async function submitOnce(
  context: Context,
  flags: TaskFlags,
  request: TaskRequest,
  signal?: AbortSignal,
  idempotencyKey?: string,
): Promise<TaskView> {
  const clb = await context.clb();
  const after = flags.after === undefined ? {} : { after: await resolveAfter(clb, flags.after) };
  const key = flags.idempotencyKey ?? idempotencyKey;
  return clb.submit(
    { ...request, ...after },
    {
      ...(key === undefined ? {} : { idempotencyKey: key }),
      ...(signal === undefined ? {} : { signal }),
    },
  );
}

/** Submits, hands the task to `follow`, tells how it ended. Ctrl-C detaches, with a hint how to come back. */
async function submitAnd(
  context: Context,
  flags: TaskFlags,
  request: TaskRequest,
  follow: (task: TaskView, signal: AbortSignal) => Promise<TaskView>,
): Promise<number> {
  const key = flags.idempotencyKey ?? randomUUID();
  let task: TaskView | null = null;
  const final = await interruptible(
    async (signal) => {
      task = await submitOnce(context, flags, request, signal, key);
      return follow(task, signal);
    },
    () => detachHint(task?.id ?? null, key),
  );
  tellEnd(context.terminal, final);
  return exitCodeOfTask(final);
}

function detachHint(id: string | null, key: string): string {
  if (id === null) {
    return `interrupted before the task was confirmed; repeat with --idempotency-key ${key} to be sure of one task`;
  }
  const short = id.slice(0, 8);
  return `detached, the task goes on. Come back with: clb wait ${short} (or clb logs -f ${short}); end it with: clb cancel ${short}`;
}

async function submitAndWait(context: Context, flags: TaskFlags, request: TaskRequest): Promise<number> {
  const { terminal } = context;
  const clb = await context.clb();
  return submitAnd(context, flags, request, async (task, signal) => {
    const early = terminal.quiet || terminal.format === 'table';
    if (early) terminal.line(task.id);
    const final = await clb.wait(task, { signal });
    if (!early) terminal.object(final, final.id, () => undefined);
    else if (!terminal.quiet) showResult(terminal, final);
    return final;
  });
}

/** What the result kept of both streams (head and tail), each to our own. */
function showResult(terminal: Terminal, task: TaskView): void {
  if (task.result === null) return;
  process.stdout.write(task.result.stdout);
  process.stderr.write(task.result.stderr);
  if (task.result.truncated)
    terminal.note(`clb: the output was cut; all of it: clb logs ${task.id.slice(0, 8)}`);
}

async function runStreaming(context: Context, flags: TaskFlags, request: TaskRequest): Promise<number> {
  const clb = await context.clb();
  return submitAnd(context, flags, request, (task, signal) => {
    context.terminal.note(`clb: task ${task.id}`);
    return streamTask(clb, task, context.terminal, signal);
  });
}
