import { createHash } from 'node:crypto';
import type { SubmitItem } from '../api/cluster.ts';

/** 192 bits of SHA-256 are kept of each digest: a million of them are held in memory. */
const DIGEST_CHARS = 32;

/** Of an idempotency key. */
export function keyDigest(key: string): string {
  return digest(key);
}

/** Of what was asked for under a key: equal exactly if the request says the same, however its fields are ordered. */
export function contentDigest(item: Pick<SubmitItem, 'request' | 'retryOf'>): string {
  return digest(canonical([item.request, item.retryOf]));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, DIGEST_CHARS);
}

/** JSON with the keys of every object in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
