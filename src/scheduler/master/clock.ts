import type { Timers } from '../../raft/timers.ts';
import { systemTimers } from '../../raft/timers.ts';

/** Time as the master sees it; injected, so that tests and the simulator decide when what happens. */
export interface MasterClock extends Timers {
  /** Milliseconds since 1970. May jump; only stamps on entries and what people read come from it. */
  wallMs(): number;
}

export const systemClock: MasterClock = { ...systemTimers, wallMs: () => Date.now() };

/** Where the master writes its few lines for the operator. pino fits. */
export interface MasterLogger {
  info(line: string): void;
  warn(line: string): void;
}
