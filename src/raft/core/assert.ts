/**
 * A broken invariant of the consensus core: a programming error or damaged storage, never an expected failure.
 * The process must end: going on could lose acknowledged entries.
 */
export class RaftInvariantError extends Error {
  readonly code = 'RAFT_INVARIANT';

  constructor(message: string) {
    super(`raft invariant broken: ${message}`);
    this.name = 'RaftInvariantError';
  }
}

/** Throws {@link RaftInvariantError}. For places that build the message only when it is needed. */
export function invariantBroken(message: string): never {
  throw new RaftInvariantError(message);
}

/** Stays on in production. Keep `message` a constant on hot paths. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) invariantBroken(message);
}

/** The value, where the types cannot know that there must be one. */
export function present<T>(value: T | null | undefined, what: string): T {
  return value ?? invariantBroken(`${what} is missing`);
}

/** Ends an exhaustive switch. */
export function unreachable(value: never): never {
  invariantBroken(`unreachable: ${JSON.stringify(value)}`);
}
