import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../bundle.ts';
import type { Mutant } from './mutant.ts';

/** An edit does not fit its file: the source was changed, and the mutant has to follow. */
export class MutantStaleError extends Error {
  readonly code = 'MUTANT_STALE';
}

/** The mutant's files as they are with its bug, by path. @throws MutantStaleError */
export function mutatedFiles({ name, edits }: Mutant): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const text = files.get(file) ?? readFileSync(join(PROJECT, file), 'utf8');
    const found = text.split(find).length - 1;
    if (found !== 1)
      throw new MutantStaleError(`mutant ${name}: found ${String(found)} times in ${file}: ${find}`);
    files.set(
      file,
      text.replace(find, () => replace),
    );
  }
  return files;
}
