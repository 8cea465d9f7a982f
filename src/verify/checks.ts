/** What `clb verify` checks, by name. docs/verify.md says which promise each belongs to. */
export const CHECKS = {
  disk: 'every record of the log on disk matches its checksum and continues the one before it',
  terms: 'the log has no hole, terms do not fall, and each begins with the first entry of one leader',
  leaders: 'no two servers led in the same term',
  log: 'the same index holds the same entry on all servers',
  accepted: 'every task that was accepted is kept',
  attempts: 'a task has one holder at a time: an attempt begins when the one before it has ended',
  tokens: 'every step of a task is in the log, at the index and with the token that its record names',
  final: 'a final status was recorded once, by the entry that the log has there, with that result',
  results: 'every result in the log is recorded, or noted as superseded',
  keys: 'an idempotency key stands for one task',
  tasks: 'a task is the same on all servers',
  counts: 'the counts by status add up to the tasks that are kept',
} as const;

export type CheckName = keyof typeof CHECKS;

/** A counter-example. */
export interface Violation {
  readonly check: CheckName;
  /** The server that shows it; null where it takes several. */
  readonly server: string | null;
  readonly task: string | null;
  /** Log index. */
  readonly index: number | null;
  readonly message: string;
}

/** Where the first ones are shown, more of the same tell nothing new. */
export const VIOLATIONS_PER_CHECK_MAX = 20;

/** Collects what was checked and what was found. */
export class Findings {
  readonly #checked = new Map<CheckName, number>();
  readonly #found = new Map<CheckName, number>();
  readonly violations: Violation[] = [];

  /** Notes that `count` things were examined. */
  examined(check: CheckName, count = 1): void {
    this.#checked.set(check, (this.#checked.get(check) ?? 0) + count);
  }

  /** Examines one thing: a violation where `holds` is false. */
  expect(holds: boolean, check: CheckName, violation: () => Omit<Violation, 'check'>): void {
    this.examined(check);
    if (holds) return;
    const found = (this.#found.get(check) ?? 0) + 1;
    this.#found.set(check, found);
    if (found <= VIOLATIONS_PER_CHECK_MAX) this.violations.push({ check, ...violation() });
  }

  checkedOf(check: CheckName): number {
    return this.#checked.get(check) ?? 0;
  }

  /** Violations found, those not kept included. */
  foundOf(check: CheckName): number {
    return this.#found.get(check) ?? 0;
  }
}
