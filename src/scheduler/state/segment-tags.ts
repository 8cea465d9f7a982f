/**
 * Which names and labels the tasks of an archived segment may have: a Bloom filter, so that a search for a rare one
 * reads the few segments that may hold it instead of all. About two bytes for each name or label.
 */
import type { TaskRequest } from '../../api/tasks.ts';
import { fnv1a } from './hash.ts';

/** Bits for each tag; with two probes one question in about 75 is answered "perhaps" for nothing. */
const BITS_PER_TAG = 16;
const BITS_MIN = 64;
/** Of a segment of tasks with dozens of labels each, which then says "perhaps" more often. */
const BITS_MAX = 1 << 17;

export function nameTag(name: string): number {
  return fnv1a(`n${name}`);
}

/** `value` null: the key alone, with any value. */
export function labelTag(key: string, value: string | null): number {
  return fnv1a(value === null ? `k${key}` : `l${key}=${value}`);
}

function tagsOf(spec: TaskRequest, into: Set<number>): void {
  if (spec.name !== undefined) into.add(nameTag(spec.name));
  for (const [key, value] of Object.entries(spec.labels ?? {})) {
    into.add(labelTag(key, null));
    into.add(labelTag(key, value));
  }
}

/** The filter over all of a segment's tasks. */
export function segmentTags(specs: Iterable<TaskRequest>): Uint8Array {
  const tags = new Set<number>();
  for (const spec of specs) tagsOf(spec, tags);
  let bits = BITS_MIN;
  while (bits < BITS_PER_TAG * tags.size && bits < BITS_MAX) bits *= 2;
  const filter = new Uint8Array(bits / 8);
  for (const tag of tags) {
    for (const bit of probes(tag, bits)) filter[bit >>> 3] = (filter[bit >>> 3] ?? 0) | (1 << (bit & 7));
  }
  return filter;
}

/** False: certainly none of the segment's tasks has it. */
export function mayHaveTag(filter: Uint8Array, tag: number): boolean {
  return probes(tag, 8 * filter.length).every((bit) => ((filter[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0);
}

/** `bits`: a power of two. */
function probes(tag: number, bits: number): readonly [number, number] {
  const second = Math.imul(tag ^ (tag >>> 15), 0x2c1b3c6d) >>> 0;
  return [(tag ^ (tag >>> 17)) & (bits - 1), (second ^ (second >>> 13)) & (bits - 1)];
}
