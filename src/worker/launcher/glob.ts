/**
 * Patterns of `collect`: `*` and `?` within a name, `[a-z]` and `[!a-z]`, `**` over any number of folders. Matched without
 * regular expressions: a pattern comes from outside, and the time for one must not explode in the process that holds the
 * lease clock. Worst case: length of the pattern times length of the path.
 */

/** Whether `path` (relative, parts joined by `/`) matches. A leading dot is only matched by a dot. */
export function globMatches(pattern: string, path: string): boolean {
  return matches(pattern.replace(/\/+$/, '').split('/'), path.split('/'), partMatches, isAnyFolders);
}

/** How many parts a path can have at most to match; Infinity with `**`. */
export function globDepth(pattern: string): number {
  const parts = pattern.replace(/\/+$/, '').split('/');
  return parts.includes('**') ? Infinity : parts.length;
}

function isAnyFolders(part: string): boolean {
  return part === '**';
}

/** `**` stands for no hidden folder: `.tmp` is one of them. */
function partMatches(pattern: string, name: string): boolean {
  if (pattern === '**') return !name.startsWith('.');
  if (name.startsWith('.') && !pattern.startsWith('.')) return false;
  return matches(tokensOf(pattern), Array.from(name), tokenMatches, (token) => token === '*');
}

/**
 * Greedy with one point to come back to: the last star. (An earlier star need not be tried again: what it could take, the
 * later one can take as well.)
 */
function matches<P, T>(
  pattern: readonly P[],
  text: readonly T[],
  one: (item: P, of: T) => boolean,
  isStar: (item: P) => boolean,
): boolean {
  let at = 0;
  let starAt = -1;
  let starTook = 0;
  let next = 0;
  while (next < text.length) {
    const item = pattern[at];
    const here = text[next] as T;
    if (item !== undefined && isStar(item)) {
      starAt = at;
      starTook = next;
      at += 1;
    } else if (item !== undefined && one(item, here)) {
      at += 1;
      next += 1;
    } else {
      const star = pattern[starAt];
      // The star takes one more, if it may.
      if (star === undefined || !(star === '*' || one(star, text[starTook] as T))) return false;
      starTook += 1;
      next = starTook;
      at = starAt + 1;
    }
  }
  return pattern.slice(at).every(isStar);
}

/** `*`, `?`, one character, or a class with its brackets. */
function tokensOf(pattern: string): readonly string[] {
  const tokens: string[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    // A bracket right after the opening one is a member.
    const first = characters[at + 1] === '!' || characters[at + 1] === '^' ? at + 3 : at + 2;
    const close = character === '[' ? characters.indexOf(']', first) : -1;
    if (close < 0) {
      tokens.push(character);
    } else {
      tokens.push(characters.slice(at, close + 1).join(''));
      at = close;
    }
  }
  return tokens;
}

function tokenMatches(token: string, character: string): boolean {
  if (token === '?') return true;
  const members = Array.from(token);
  if (members.length === 1) return token === character;
  members.splice(0, 1);
  members.pop();
  const negated = members[0] === '!' || members[0] === '^';
  if (negated) members.shift();
  let found = false;
  for (let at = 0; at < members.length; at += 1) {
    const from = members[at] ?? '';
    const to = members[at + 1] === '-' ? members[at + 2] : undefined;
    if (to === undefined) {
      found ||= from === character;
    } else {
      found ||= from <= character && character <= to;
      at += 2;
    }
  }
  return found !== negated;
}
