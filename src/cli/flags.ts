/** What flags accept. Each parser throws commander's InvalidArgumentError, which names the flag and exits with 2. */
import { resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { LIMITS } from '../api/limits.ts';
import { NODE_ID_PATTERN, type HostPort, type PeerAddress } from '../node/options.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `60s`, `1h30m` → milliseconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) {
    throw new InvalidArgumentError('Give a number with its unit: 500ms, 60s, 5m, 1h, 7d.');
  }
  const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit ?? ''] ?? 0), 0);
  return Math.round(ms);
}

/** As {@link parseDuration}, within the range. */
export function durationWithin(minMs: number, maxMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms >= minMs && ms <= maxMs) return ms;
    throw new InvalidArgumentError(
      `A duration from ${durationText(minMs)} to ${durationText(maxMs)} is wanted.`,
    );
  };
}

/** In the largest unit that it is a whole number of. */
function durationText(ms: number): string {
  const [unit, unitMs] = Object.entries(UNIT_MS).findLast(([, each]) => ms > 0 && ms % each === 0) ?? [
    's',
    1,
  ];
  return `${ms / unitMs}${unit}`;
}

/** `2026-01-02T03:04:05Z`, or a duration: so long ago. → milliseconds since 1970. */
export function parseMoment(text: string): number {
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const ms = Date.parse(text);
    if (Number.isFinite(ms)) return ms;
  }
  try {
    return Date.now() - parseDuration(text);
  } catch {
    throw new InvalidArgumentError('Give a time (2026-01-02T03:04:05Z) or how long ago (30m, 2h, 7d).');
  }
}

const UNIT_MIB: Readonly<Record<string, number>> = { k: 1 / 1024, m: 1, g: 1024, t: 1024 * 1024 };

const MIB_PER_TIB = 1024 * 1024;

/** `256M`, `1.5G`, `512MiB` → MiB, rounded up. */
export function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmgt])(?:i?b)?$/i.exec(text);
  if (match === null) throw new InvalidArgumentError('Give a number with its unit: 256M, 2G.');
  const mib = Math.ceil(Number(match[1]) * (UNIT_MIB[(match[2] ?? '').toLowerCase()] ?? 0));
  if (mib <= LIMITS.memoryMbMax) return mib;
  throw new InvalidArgumentError(`At most ${LIMITS.memoryMbMax / MIB_PER_TIB}T is possible.`);
}

/** A whole number within the range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`A whole number from ${min} to ${max} is wanted.`);
    }
    return value;
  };
}

export const parsePort = wholeNumber(1, 65_535);

/** A number of cores, `0.5` say. */
export function parseCores(text: string): number {
  if (/^\d*\.?\d+$/.test(text) && Number(text) <= LIMITS.cpuMax) return Number(text);
  throw new InvalidArgumentError(`A number from 0 to ${LIMITS.cpuMax} is wanted.`);
}

/** A text that is not empty, of so many characters at most. */
export function textUpTo(charsMax: number): (text: string) => string {
  return (text) => {
    if (text.length >= 1 && text.length <= charsMax) return text;
    throw new InvalidArgumentError(`1 to ${charsMax} characters are wanted, not ${text.length}.`);
  };
}

/** A folder on a node, whatever kind of machine this is. */
export function parseNodeFolder(text: string): string {
  if (text.startsWith('/')) return textUpTo(LIMITS.pathCharsMax)(text);
  throw new InvalidArgumentError('It is a folder on the node, and must begin with /.');
}

export type StringMap = Readonly<Record<string, string>>;

/** Repeated `K=V`; the value may be empty and may contain `=`. */
export function collectPairs(text: string, before: StringMap | undefined): StringMap {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give it as KEY=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Repeated, or several separated by commas. */
export function collectList(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), ...splitList(text)];
}

/** Repeated; a comma is a part of it. */
export function collectTexts(text: string, before: readonly string[] | undefined): readonly string[] {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return [...(before ?? []), text];
}

const parseExitCode = wholeNumber(0, 255);

/** Repeated, or several separated by commas. */
export function collectExitCodes(text: string, before: readonly number[] | undefined): readonly number[] {
  return [...(before ?? []), ...splitList(text).map(parseExitCode)];
}

export function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

export function parseHostPort(text: string): HostPort {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not of the form HOST:PORT.`);
  }
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** `HOST:PORT,HOST:PORT`, repeatable. */
export function collectHostPorts(text: string, before: readonly HostPort[] | undefined): readonly HostPort[] {
  return [...(before ?? []), ...splitList(text).map(parseHostPort)];
}

export function parseNodeId(text: string): string {
  if (NODE_ID_PATTERN.test(text)) return text;
  throw new InvalidArgumentError('A node id has 1 to 63 letters, digits, dots, dashes or underscores.');
}

/** `ID=HOST:PORT,ID=HOST:PORT`, repeatable. */
export function collectPeers(
  text: string,
  before: readonly PeerAddress[] | undefined,
): readonly PeerAddress[] {
  const peers = splitList(text).map((item) => {
    const at = item.indexOf('=');
    if (at < 1) throw new InvalidArgumentError(`${JSON.stringify(item)} is not of the form ID=HOST:PORT.`);
    return { id: parseNodeId(item.slice(0, at)), ...parseHostPort(item.slice(at + 1)) };
  });
  const all = [...(before ?? []), ...peers];
  if (new Set(all.map(({ id }) => id)).size < all.length) {
    throw new InvalidArgumentError('The same id is named twice.');
  }
  return all;
}

export function parseUrl(text: string): string {
  if (/^http:\/\/[^/\s]+\/?$/.test(text) && URL.canParse(text)) return text.replace(/\/$/, '');
  throw new InvalidArgumentError('Give it as http://HOST:PORT.');
}

/** Comma list of paths, repeatable. */
export function collectPaths(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), ...splitList(text).map(parsePath)];
}

export function parsePath(text: string): string {
  if (text === '') throw new InvalidArgumentError('A path is wanted.');
  return resolve(text);
}
