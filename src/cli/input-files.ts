/** The files that `--with-file` sends along. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { filePathProblem } from '../api/task-files.ts';
import type { TaskFile } from '../api/task-files.ts';
import { LIMITS } from '../api/limits.ts';
import { usageError } from './exit-code.ts';
import { taskFileName } from './local-paths.ts';

/**
 * `PATH`, or `NAME=PATH` where it is to have another name in the task's folder. Without a name a relative path stays as it
 * is, any other becomes its last part. A folder stands for all files in it.
 * @throws CliError (usage)
 */
export function inputFiles(given: readonly string[]): readonly TaskFile[] {
  const files = given.flatMap((text) => {
    const equals = text.indexOf('=');
    const source = equals < 0 ? text : text.slice(equals + 1);
    return read(source, equals < 0 ? taskFileName(source) : text.slice(0, equals));
  });
  // Base64 takes four characters for three bytes; the cluster checks the whole task again.
  const bytes = files.reduce((sum, { contentBase64 }) => sum + contentBase64.length, 0);
  if (bytes > LIMITS.taskBytesMax) {
    throw usageError(
      `the files are ${bytes} bytes as base64; a task with its files is at most ${LIMITS.taskBytesMax} bytes`,
    );
  }
  return files;
}

function read(source: string, name: string): TaskFile[] {
  try {
    if (statSync(source).isDirectory()) {
      const inside = readdirSync(source).sort();
      return inside.flatMap((entry) => read(join(source, entry), name === '.' ? entry : `${name}/${entry}`));
    }
    const problem = filePathProblem(name);
    if (problem !== null)
      throw usageError(`--with-file ${source}: the name ${JSON.stringify(name)} ${problem}`);
    return [{ path: name, contentBase64: readFileSync(source).toString('base64') }];
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw usageError(`can't read ${source} (--with-file): ${error.message}`);
  }
}
