/** Every kind of fault and disturbance there is, and how often each has struck: one that never does is noticed. */

export const FAULT_KINDS = [
  // The network.
  'message lost',
  'message doubled',
  'message overtaken',
  'message very late',
  'old message again',
  'frame corrupted',
  'server isolated',
  'cluster split',
  'link cut one way',
  'bridge partition',
  'link clogged',
  // Processes.
  'crash',
  'crash of all',
  'crash at an effect',
  'crash at a snapshot chunk',
  'restart loop',
  'pause',
  'pause of the clock too',
  'event loop stalled',
  // Clocks.
  'clock of another speed',
  'wall clock jumps',
  // Disks.
  'write lost at a crash',
  'write done and unheard of',
  'batch torn',
  'disk stalled',
  'write failed: EIO once',
  'write failed: EIO from then on',
  'write failed: ENOSPC once',
  'write failed: ENOSPC from then on',
  'bit of the store turned',
  'old record put back',
  'record lost',
  'last writes lost',
  'old copy of the folder restored',
  'database wiped',
  'folder wiped',
  // The cluster.
  'learner added',
  'learner promoted',
  'voter removed',
  'leader removed',
  'server replaced',
  'server of the version before',
  'server upgraded',
  'lead transferred',
  'snapshot taken',
  'snapshot installed',
  // Workers.
  'worker crashed',
  'worker lost power',
  'worker cut off',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export type FaultTable = Readonly<Partial<Record<FaultKind, number>>>;

export class FaultCounts {
  readonly #counts: Partial<Record<FaultKind, number>> = {};

  struck(kind: FaultKind, times = 1): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + times;
  }

  add(table: FaultTable): void {
    for (const kind of FAULT_KINDS) {
      const times = table[kind];
      if (times !== undefined) this.struck(kind, times);
    }
  }

  get table(): FaultTable {
    return this.#counts;
  }

  /** Those that have not struck. */
  missing(): readonly FaultKind[] {
    return FAULT_KINDS.filter((kind) => this.#counts[kind] === undefined);
  }

  toString(): string {
    return FAULT_KINDS.map((kind) => `${kind} ${String(this.#counts[kind] ?? 0)}`).join(', ');
  }
}
