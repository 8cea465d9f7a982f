import { hash } from 'node:crypto';
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
  return hash('sha256', text, 'base64url').slice(0, DIGEST_CHARS);
}

/** JSON with the keys of every object in order. By hand: JSON.stringify with a replacer costs several times as much. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const fields = value as Readonly<Record<string, unknown>>;
  const parts: string[] = [];
  for (const key of Object.keys(fields).sort()) {
    if (fields[key] !== undefined) parts.push(`${JSON.stringify(key)}:${canonical(fields[key])}`);
  }
  return `{${parts.join(',')}}`;
}
