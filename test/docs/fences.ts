/** Code blocks of the docs, and what they say that they print. */
import { readFileSync } from 'node:fs';

export interface Fence {
  /** Line of the file where its code begins. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** From its `// prints: …` remarks, in order. */
  readonly prints: readonly string[];
}

export function fencesOf(path: string): readonly Fence[] {
  const fences: Fence[] = [];
  let open: { line: number; language: string; code: string[] } | null = null;
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((text, i) => {
      const mark = /^```(\w*)/.exec(text);
      if (open === null && mark !== null) open = { line: i + 2, language: mark[1] ?? '', code: [] };
      else if (open !== null && mark !== null) {
        fences.push({
          line: open.line,
          language: open.language,
          code: open.code.join('\n'),
          prints: open.code.flatMap((line) => /\/\/ prints: (.*)$/.exec(line)?.[1] ?? []),
        });
        open = null;
      } else open?.code.push(text);
    });
  return fences;
}
