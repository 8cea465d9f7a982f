import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { filePathProblem } from '../../api/task-files.ts';
import type { TaskFilesView } from '../../api/task-files.ts';
import type { Clb } from '../../sdk/client.ts';
import { onRun } from '../context.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { parsePath } from '../flags.ts';
import { interruptible } from '../interrupt.ts';
import { localFile, localIdentity, localNameProblem } from '../local-paths.ts';
import { writeTo } from '../terminal.ts';

interface FilesFlags {
  readonly dir?: string;
}

export function addFiles(program: Command): void {
  const files = program
    .command('files')
    .summary('list or fetch the files kept of a task')
    .description(
      'List the files that --collect kept of a finished task; with a path print that one; with --dir save it, or all.',
    )
    .argument('<id>', 'id, or its first 6 characters or more')
    .argument('[path]', 'one of the files, as listed')
    .option('-d, --dir <dir>', 'save into this folder', parsePath)
    .addHelpText(
      'after',
      `
Examples:
  clb files 3f9a2c1b
  clb files 3f9a2c1b out/report.txt | less
  clb files 3f9a2c1b --dir results`,
    );
  onRun(files, async (context, command) => {
    const { dir } = command.opts<FilesFlags>();
    const [id = '', path] = command.args;
    const clb = await context.clb();
    return interruptible(
      async (signal) => {
        if (dir !== undefined) return save(context, clb, { id, path, dir, signal });
        await (path === undefined ? list(context, clb, id, signal) : print(clb, id, path, signal));
        return EXIT.ok;
      },
      () => 'interrupted',
    );
  });
}

async function list(context: Context, clb: Clb, id: string, signal: AbortSignal): Promise<void> {
  const { terminal } = context;
  const view = await clb.files(id, { signal });
  if (terminal.format === 'json' && !terminal.quiet) {
    terminal.json(view);
    return;
  }
  terminal.list(
    view.files,
    [
      { header: 'BYTES', align: 'right', value: ({ bytes }) => String(bytes) },
      {
        header: 'KEPT',
        value: ({ kept }) => (kept === 'node' ? `on ${view.node ?? '?'}` : 'in the cluster'),
      },
      { header: 'PATH', value: ({ path }) => path },
    ],
    ({ path }) => path,
  );
  tellWhatIsMissing(context, view);
}

function tellWhatIsMissing({ terminal }: Context, view: TaskFilesView): void {
  if (view.leftOut !== null) terminal.warn(view.leftOut);
  if (view.files.length === 0) terminal.note(`clb: no files are kept of task ${view.task}`);
}

async function print(clb: Clb, id: string, path: string, signal: AbortSignal): Promise<void> {
  for await (const bytes of clb.file(id, path, { signal })) await writeTo(process.stdout, bytes);
}

interface Wanted {
  readonly id: string;
  readonly path: string | undefined;
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** Each under its own path. A file is there as a whole or not at all. Resolves to 1 where one can have no such name here. */
async function save(context: Context, clb: Clb, { id, path, dir, signal }: Wanted): Promise<number> {
  const view = path === undefined ? await clb.files(id, { signal }) : null;
  const saved = new Set<string>();
  let code: number = EXIT.ok;
  for (const name of view === null ? [path ?? ''] : view.files.map((file) => file.path)) {
    const problem = filePathProblem(name);
    if (problem !== null) throw new Error(`${JSON.stringify(name)} ${problem}`);
    const identity = localIdentity(name);
    const unsaved = saved.has(identity) ? 'a file saved before has this name here' : localNameProblem(name);
    saved.add(identity);
    if (unsaved !== null) {
      context.terminal.warn(
        `${JSON.stringify(name)} is left out: ${unsaved} (clb files ${id} PATH prints it)`,
      );
      code = EXIT.error;
      continue;
    }
    const target = localFile(dir, name);
    const part = `${target}.part`;
    await mkdir(dirname(target), { recursive: true });
    try {
      await pipeline(Readable.from(clb.file(id, name, { signal })), createWriteStream(part));
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
    context.terminal.line(target);
  }
  if (view !== null) tellWhatIsMissing(context, view);
  return code;
}
