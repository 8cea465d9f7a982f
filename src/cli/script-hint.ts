import { accessSync, constants, statSync } from 'node:fs';

/**
 * What to say to somebody who gave a file of this folder as a command: nodes look a bare name up in their PATH, and don't have the
 * file. Null: it does not look like that.
 */
export function scriptHint(words: readonly string[]): string | null {
  const [word] = words;
  if (word === undefined || !isFile(word)) return null;
  const looksLikeScript = /^[^/\\]+\.[a-z0-9]+$/i.test(word);
  if (!looksLikeScript && isExecutable(word)) return null;
  const how =
    words.length === 1
      ? `-f ${word} sends it as a script`
      : `--with-file ${word} sends it along, for a command like: -- python3 ${words.join(' ')}`;
  return `clb: ${word} is a file here, and nodes don't have it: ${how}`;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
