import { randomBytes } from 'node:crypto';
import type { LogLine, LogLines } from '../api/log.ts';

/** What /logging shows: a node's own lines in memory, or those of all nodes on the database's disk. */
export interface LogSource {
  /**
   * Names the numbering. A node's lines begin at 1 with each start, so a reader that comes back must be able to tell
   * whether its number still means the same line.
   */
  readonly epoch: string;
  /** At most `limit` lines with a number above `after`, oldest first. */
  after(after: number, limit: number): Promise<readonly LogLine[]>;
  /** The newest `limit` lines, oldest first. */
  tail(limit: number): Promise<readonly LogLine[]>;
  /** Calls back for every further line; returns the unsubscriber. */
  subscribe(listener: (line: LogLine) => void): () => void;
}

/** A node's own lines. */
export function memoryLogSource(lines: LogLines): LogSource {
  return {
    epoch: randomBytes(4).toString('hex'),
    after: (after, limit) => {
      const kept = lines.lines();
      // Numbers are without gaps, so the place of a line can be told from the first one.
      const skip = Math.max(0, after + 1 - (kept[0]?.seq ?? 1));
      return Promise.resolve(kept.slice(skip, skip + limit));
    },
    tail: (limit) => Promise.resolve(lines.lines().slice(-limit)),
    subscribe: (listener) => lines.subscribe(listener),
  };
}
