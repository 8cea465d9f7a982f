import type { RunSpec } from '../../src/link/protocol.ts';

/** What to run, with nothing in it: a test says what it is about. */
export const BLANK_SPEC: RunSpec = {
  script: null,
  command: null,
  interpreter: null,
  stdin: null,
  env: {},
  cwd: null,
  timeoutMs: null,
  memoryMb: 0,
  onDisconnect: 'pause',
  files: [],
  collect: [],
};
