import type { Entry } from './types.ts';

/** What an entry costs besides its payload, so that empty ones do not escape the limits. */
export const ENTRY_OVERHEAD_BYTES = 32;
/** What a server in a configuration costs, roughly: its name and its address, or the memory of it. */
const CONFIG_MEMBER_BYTES = 64;

/** {@link entryBytes} of all of them. */
export function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

/** The bytes by which an entry counts against every limit of {@link RaftConfig}. */
export function entryBytes(entry: Entry): number {
  if (entry.kind === 'command') return ENTRY_OVERHEAD_BYTES + entry.payload.length;
  if (entry.kind === 'noop') return ENTRY_OVERHEAD_BYTES;
  const { voters, learners, removed = [] } = entry.config;
  return ENTRY_OVERHEAD_BYTES + CONFIG_MEMBER_BYTES * (voters.length + learners.length + removed.length);
}
