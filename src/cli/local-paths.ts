/**
 * Paths of this machine and names of files in a task's folder. Tasks run where `/` parts a path; this command runs on Windows
 * too, where `\` does as well, where a drive may stand in front, and where not everything is a name.
 */
import { posix, win32 } from 'node:path';

/** Only what is Windows and what is not matters. */
export type Platform = NodeJS.Platform;

function pathsOf(platform: Platform): typeof posix {
  return platform === 'win32' ? win32 : posix;
}

/** What a file of this machine is called in a task's folder: a relative path stays as it is, any other becomes its last part. */
export function taskFileName(source: string, platform: Platform = process.platform): string {
  const paths = pathsOf(platform);
  const path = paths.normalize(source);
  // `C:x` is not absolute: it begins wherever one was last on that drive.
  const isInside = paths.parse(path).root === '' && path.split(paths.sep)[0] !== '..';
  return isInside ? path.split(paths.sep).join('/') : paths.basename(path);
}

const WINDOWS_CHARS = /[<>:"|?*\\\u0000-\u001f]/;
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

/**
 * Why a file of a task's folder can have no such name here; null: it can. On Windows `a:b` would be a stream of the file
 * `a`, `a\..\..\b` a file somewhere else, and `nul` no file at all.
 */
export function localNameProblem(name: string, platform: Platform = process.platform): string | null {
  if (platform !== 'win32') return null;
  for (const part of name.split('/')) {
    const [char] = WINDOWS_CHARS.exec(part) ?? [];
    if (char !== undefined) return `${JSON.stringify(char)} cannot be in the name of a file on Windows`;
    if (WINDOWS_DEVICE.test(part)) return `${JSON.stringify(part)} is the name of a device on Windows`;
    if (/[. ]$/.test(part)) return 'no name ends with a dot or a blank on Windows';
  }
  return null;
}

/** Where a file of a task's folder is saved here. */
export function localFile(folder: string, name: string, platform: Platform = process.platform): string {
  return pathsOf(platform).join(folder, name);
}

/** The same for names that are one file here: Windows does not tell upper case from lower. */
export function localIdentity(name: string, platform: Platform = process.platform): string {
  return platform === 'win32' ? name.toLowerCase() : name;
}

/** Why this machine can be no node; null: it can. */
export function nodeProblem(platform: Platform = process.platform): string | null {
  return platform === 'win32'
    ? 'nodes need stop signals and process groups, which Windows does not have. Run them in WSL2 (wsl --install, then the ' +
        'same command inside) or with docker compose up; every other command works here, with --server HOST:PORT'
    : null;
}
