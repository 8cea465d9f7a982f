import type { Command } from 'commander';
import type { Clb } from '../../sdk/client.ts';
import type { OutputStream } from '../../api/views.ts';
import { onRun } from '../context.ts';
import { wholeNumber } from '../flags.ts';
import { interruptible } from '../interrupt.ts';
import { seamText } from '../live-output.ts';
import { Tail } from '../tail.ts';
import { writeTo } from '../terminal.ts';
import { askOnce } from '../waiting.ts';

interface LogsFlags {
  readonly follow?: true;
  readonly stderr?: true;
  readonly tail?: number;
}

export function addLogs(program: Command): void {
  const logs = program
    .command('logs')
    .summary("print a task's output")
    .description("Print a task's output as it was written, byte by byte.")
    .argument('<id>', 'id, or its first 6 characters or more')
    .option('-f, --follow', 'go on until the task is final')
    .option('--stderr', 'its stderr (default: its stdout)')
    .option('--tail <n>', 'only the last n lines (with -f: and what follows)', wholeNumber(0, 1_000_000))
    .addHelpText(
      'after',
      `
Examples:
  clb logs 3f9a2c1b
  clb logs -f --tail 20 3f9a2c1b
  clb logs --stderr 3f9a2c1b > errors.txt`,
    );
  onRun(logs, async (context, command) => {
    const flags = command.opts<LogsFlags>();
    const [given = ''] = command.args;
    const clb = await context.clb();
    const stream: OutputStream = flags.stderr === true ? 'stderr' : 'stdout';
    await interruptible(
      async (signal) => {
        let offset = 0;
        await askOnce(clb, given, signal);
        if (flags.tail !== undefined) offset = await printTail(clb, given, stream, flags.tail, signal);
        if (flags.tail !== undefined && flags.follow !== true) return;
        const chunks = clb.logs(given, {
          stream,
          follow: flags.follow ?? false,
          offset,
          signal,
          onAttempt: (attempt, node) => context.terminal.note(seamText(attempt, node)),
        });
        for await (const bytes of chunks) await writeTo(process.stdout, bytes);
      },
      () => `stopped following; the task goes on. Come back with: clb logs -f ${given}`,
    );
    return 0;
  });
}

/** Prints the last lines of what is there and returns how many bytes that is in all. */
async function printTail(
  clb: Clb,
  id: string,
  stream: OutputStream,
  lines: number,
  signal: AbortSignal,
): Promise<number> {
  const tail = new Tail(lines);
  for await (const bytes of clb.logs(id, { stream, signal })) tail.push(bytes);
  await writeTo(process.stdout, tail.bytes());
  return tail.totalBytes;
}
