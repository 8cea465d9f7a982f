/** One line typed by a person ↔ program and arguments. No shell takes part, so nothing is expanded. */

export type SplitOutcome =
  | { readonly kind: 'ok'; readonly args: readonly string[] }
  | { readonly kind: 'error'; readonly message: string };

/**
 * Splits at blanks; '…' keeps everything, "…" keeps everything but \" and \\, and outside of quotes a backslash keeps the next
 * character.
 */
export function splitCommand(line: string): SplitOutcome {
  const args: string[] = [];
  let current: string | null = null;
  let quote: '"' | "'" | null = null;
  for (let i = 0; i < line.length; i += 1) {
    const char = line.charAt(i);
    const next = line.charAt(i + 1);
    if (char === '\\' && quote !== "'" && (quote === null || next === '"' || next === '\\')) {
      if (next === '') return { kind: 'error', message: 'The line ends in a backslash.' };
      current = (current ?? '') + next;
      i += 1;
    } else if (quote !== null) {
      if (char === quote) quote = null;
      else current = (current ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      current ??= '';
    } else if (/\s/.test(char)) {
      if (current !== null) args.push(current);
      current = null;
    } else {
      current = (current ?? '') + char;
    }
  }
  if (quote !== null) return { kind: 'error', message: `A ${quote} is not closed.` };
  if (current !== null) args.push(current);
  if (args[0] === undefined) return { kind: 'error', message: 'Write the program and its arguments.' };
  if (args[0] === '') return { kind: 'error', message: 'The program name is empty.' };
  return { kind: 'ok', args };
}

/** The inverse of {@link splitCommand}, quoting only where it is needed. */
export function joinCommand(args: readonly string[]): string {
  return args
    .map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
