/** Numbers, times and ids as a person reads them. Pure: the time comes in. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Longer than the shortest prefix the API takes, short enough for a column. */
const SHORT_ID_CHARS = 10;

export function shortId(id: string): string {
  return id.length <= SHORT_ID_CHARS + 2 ? id : id.slice(0, SHORT_ID_CHARS);
}

/** Milliseconds since 1970, or null for a time that is missing or not a time. */
export function parseTime(iso: string | null): number | null {
  if (iso === null) return null;
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? null : ms;
}

/** "now", "12 s ago", "in 3 min": one unit, rounded down, so that it never claims more than has passed. */
export function relativeTime(atMs: number, nowMs: number): string {
  const past = nowMs - atMs;
  const size = Math.abs(past);
  if (size < 2 * SECOND_MS) return 'now';
  const text =
    size < MINUTE_MS
      ? `${Math.floor(size / SECOND_MS)} s`
      : size < HOUR_MS
        ? `${Math.floor(size / MINUTE_MS)} min`
        : size < DAY_MS
          ? `${Math.floor(size / HOUR_MS)} h`
          : `${Math.floor(size / DAY_MS)} d`;
  return past > 0 ? `${text} ago` : `in ${text}`;
}

/** A length of time: "340 ms", "4.2 s", "37 s", "1 min 04 s", "2 h 05 min", "3 d 4 h". */
export function duration(ms: number): string {
  const length = Math.max(0, ms);
  if (length < SECOND_MS) return `${Math.round(length)} ms`;
  if (length < 10 * SECOND_MS) return `${(Math.floor(length / 100) / 10).toFixed(1)} s`;
  if (length < MINUTE_MS) return `${Math.floor(length / SECOND_MS)} s`;
  if (length < HOUR_MS) {
    return `${Math.floor(length / MINUTE_MS)} min ${twoDigits(Math.floor((length % MINUTE_MS) / SECOND_MS))} s`;
  }
  if (length < DAY_MS) {
    return `${Math.floor(length / HOUR_MS)} h ${twoDigits(Math.floor((length % HOUR_MS) / MINUTE_MS))} min`;
  }
  return `${Math.floor(length / DAY_MS)} d ${Math.floor((length % DAY_MS) / HOUR_MS)} h`;
}

/** A time that still runs: whole seconds, so that it does not flicker. */
export function elapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND_MS));
  return seconds < 60 ? `${seconds} s` : duration(seconds * SECOND_MS);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** Making one costs more than all else of a time. */
const ZONE_FORMAT = new Intl.DateTimeFormat('en', { timeZoneName: 'short' });

/** Local time with seconds and the zone: "2026-11-22 19:04:31 GMT+1". */
export function absoluteTime(atMs: number): string {
  const at = new Date(atMs);
  const zone = ZONE_FORMAT.formatToParts(at).find((part) => part.type === 'timeZoneName');
  return `${isoDay(at)} ${clockTime(atMs)} ${zone?.value ?? ''}`.trimEnd();
}

function isoDay(at: Date): string {
  return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`;
}

/** Local time of day, "19:04:31"; with milliseconds "19:04:31.204". */
export function clockTime(atMs: number, options: { readonly millis?: boolean } = {}): string {
  const at = new Date(atMs);
  const seconds = `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}:${twoDigits(at.getSeconds())}`;
  return options.millis === true ? `${seconds}.${String(at.getMilliseconds()).padStart(3, '0')}` : seconds;
}

/** "812 B", "4.1 KiB", "3.0 MiB". */
export function byteSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

/** Whole percent; "–" before the first sample. */
export function percent(value: number | null): string {
  return value === null ? '–' : `${Math.round(value)}%`;
}

/** "1 attempt", "2 attempts". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
