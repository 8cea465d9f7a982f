import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutant.ts';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
/** All that a simulation loads, and what says that it is ESM. */
const COPIED = ['package.json', 'tsconfig.json', 'src', 'test/sim'] as const;
const UI = join(PROJECT, 'src/web');

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

/** The sources with one bug in them, in a folder of its own. */
export class MutatedCopy {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws MutantStaleError */
  static make(mutant: Mutant): MutatedCopy {
    const files = mutatedFiles(mutant);
    const folder = mkdtempSync(join(tmpdir(), 'clb-mutant-'));
    for (const path of COPIED) {
      cpSync(join(PROJECT, path), join(folder, path), {
        recursive: true,
        filter: (source) => !source.startsWith(UI),
      });
    }
    symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
    for (const [file, text] of files) writeFileSync(join(folder, file), text);
    return new MutatedCopy(folder);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
