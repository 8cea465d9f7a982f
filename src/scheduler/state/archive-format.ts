/**
 * The archive in the store, key by key (numbers in keys have 16 digits):
 *
 * - `a!<first finish number>`: a segment, finished tasks of consecutive finish numbers; one line each (record-codec.ts).
 * - `x!<first finish number>`: what the index in memory needs of the same tasks.
 * - `t!<first finish number>`: which names and labels they may have (segment-tags.ts); a segment without it may have all.
 * - `m!<finish number>!<token>`: a replaced attempt of an archived task came back late.
 *
 * Every value begins with a line that holds the log index which its first content belongs to.
 */
import { FINAL_STATUSES } from '../../api/tasks.ts';
import type { FinalStatus } from '../../api/tasks.ts';
import { decodeTask } from './record-codec.ts';
import type { EntryContext, TaskRecord } from './records.ts';
import { segmentTags } from './segment-tags.ts';

export const BODY_PREFIX = 'a!';
export const INDEX_PREFIX = 'x!';
export const TAGS_PREFIX = 't!';
export const AMENDMENT_PREFIX = 'm!';
/** What {@link Archive.load} takes. */
export const ARCHIVE_PREFIXES_LOADED = [INDEX_PREFIX, TAGS_PREFIX, AMENDMENT_PREFIX] as const;
const KEY_DIGITS = 16;
const LINE_BREAK = 10;

/** Structurally the KvOp of the store. */
export type ArchiveWrite =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'del'; readonly key: string };

/** An attempt that came back late, with the entry that said so. */
export interface Amendment extends EntryContext {
  readonly finishSeq: number;
  readonly token: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function keyNumber(value: number): string {
  return value.toString().padStart(KEY_DIGITS, '0');
}

export function bodyKey(first: number): string {
  return `${BODY_PREFIX}${keyNumber(first)}`;
}

export function indexKey(first: number): string {
  return `${INDEX_PREFIX}${keyNumber(first)}`;
}

export function tagsKey(first: number): string {
  return `${TAGS_PREFIX}${keyNumber(first)}`;
}

export function amendmentKey(amendment: Amendment): string {
  return `${AMENDMENT_PREFIX}${keyNumber(amendment.finishSeq)}!${keyNumber(amendment.token)}`;
}

type IndexRow = readonly [seq: number, id: string, status: number, finishedAt: number, key: string | 0];

/** `lines`: the tasks as encodeTask made them. */
export function encodeSegment(
  tasks: readonly TaskRecord[],
  lines: readonly string[],
): { readonly body: Uint8Array; readonly index: Uint8Array; readonly tags: Uint8Array } {
  const rows = tasks.map((task): IndexRow => [
    task.seq,
    task.id,
    FINAL_STATUSES.indexOf(task.status as FinalStatus),
    task.finishedAt ?? 0,
    task.key ?? 0,
  ]);
  const head = `${tasks[0]?.index ?? 0}\n`;
  return {
    body: encoder.encode(`${head}${lines.join('\n')}\n`),
    index: encoder.encode(`${head}${JSON.stringify(rows)}`),
    tags: joined(encoder.encode(head), segmentTags(tasks.map(({ spec }) => spec))),
  };
}

function joined(head: Uint8Array, rest: Uint8Array): Uint8Array {
  const value = new Uint8Array(head.length + rest.length);
  value.set(head);
  value.set(rest, head.length);
  return value;
}

/** The filter of a value under {@link TAGS_PREFIX}. */
export function decodeSegmentTags(value: Uint8Array): Uint8Array {
  return value.slice(value.indexOf(LINE_BREAK) + 1);
}

export function decodeSegmentIndex(value: Uint8Array): readonly {
  readonly seq: number;
  readonly id: string;
  readonly status: FinalStatus;
  readonly finishedAt: number;
  readonly key: string | null;
}[] {
  const rows = JSON.parse(decoder.decode(value.subarray(value.indexOf(LINE_BREAK) + 1))) as IndexRow[];
  return rows.map(([seq, id, status, finishedAt, key]) => ({
    seq,
    id,
    status: FINAL_STATUSES[status] ?? 'failed',
    finishedAt,
    key: key === 0 ? null : key,
  }));
}

/** The record at `position` (from 0) of a segment's body. */
export function recordOfSegment(body: Uint8Array, position: number): TaskRecord {
  let start = body.indexOf(LINE_BREAK) + 1;
  let end = body.indexOf(LINE_BREAK, start);
  for (let skipped = 0; skipped < position && end >= 0; skipped += 1) {
    start = end + 1;
    end = body.indexOf(LINE_BREAK, start);
  }
  if (end < 0) throw new Error(`the archive's segment has no record ${position}`);
  return decodeTask(decoder.decode(body.subarray(start, end)));
}

export function encodeAmendment(amendment: Amendment): Uint8Array {
  return encoder.encode(`${amendment.index}\n${JSON.stringify(amendment)}`);
}

export function decodeAmendment(value: Uint8Array): Amendment {
  return JSON.parse(decoder.decode(value.subarray(value.indexOf(LINE_BREAK) + 1))) as Amendment;
}

/** The log index that the value's first content belongs to. */
export function indexOfValue(value: Uint8Array): number {
  return Number(decoder.decode(value.subarray(0, Math.max(0, value.indexOf(LINE_BREAK)))));
}

/** Close enough to keep memory and segments bounded. */
export function roughBytes(task: TaskRecord): number {
  const { spec, result } = task;
  return (
    500 +
    (spec.script?.length ?? 0) +
    (spec.stdin?.length ?? 0) +
    (result === null ? 0 : result.stdout.length + result.stderr.length)
  );
}
