/** What a node reports while it runs. Every method is called often and must return at once. */
export interface RaftMetrics {
  /** One flush: how long the disk took, and how many log entries it held. */
  flushed(seconds: number, entries: number): void;
  /** From a proposal's `propose` here to its result. */
  committed(seconds: number): void;
  /** This node began a real election (a pre-vote does not count). */
  electionStarted(): void;
  /** A snapshot of the local state machine became durable. */
  snapshotTaken(seconds: number, bytes: number): void;
}

export const noMetrics: RaftMetrics = {
  flushed: () => undefined,
  committed: () => undefined,
  electionStarted: () => undefined,
  snapshotTaken: () => undefined,
};
