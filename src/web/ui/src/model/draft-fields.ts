/** Fields of the form that hold several things: one a line, or apart by commas. */

const SHOWN_CHARS_MAX = 40;

/** What was typed, as a message may show it: short. */
export function quoted(text: string): string {
  return text.length <= SHOWN_CHARS_MAX
    ? `“${text}”`
    : `“${text.slice(0, SHOWN_CHARS_MAX)}…” (${text.length} characters)`;
}

export type ParsedField<T> =
  { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'error'; readonly message: string };

/** `KEY=VALUE`, one a line; a line without = is an error that quotes it. */
export function parsePairs(text: string, what: string): ParsedField<Readonly<Record<string, string>>> {
  const pairs: Record<string, string> = {};
  for (const line of linesOf(text)) {
    const equals = line.indexOf('=');
    if (equals <= 0) return { kind: 'error', message: `${what}: ${quoted(line)} is not KEY=VALUE.` };
    pairs[line.slice(0, equals).trim()] = line.slice(equals + 1);
  }
  return { kind: 'ok', value: pairs };
}

export function formatPairs(pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');
}

/** Not empty lines, without the blanks around them. */
export function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Words apart by blanks, commas or new lines. */
export function wordsOf(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

/** Exit codes, 0 to 255. */
export function parseCodes(text: string): ParsedField<readonly number[]> {
  const codes: number[] = [];
  for (const word of wordsOf(text)) {
    const code = Number(word);
    if (!Number.isInteger(code) || code < 0 || code > 255) {
      return { kind: 'error', message: `Exit codes: ${quoted(word)} is not a whole number from 0 to 255.` };
    }
    codes.push(code);
  }
  return { kind: 'ok', value: codes };
}
