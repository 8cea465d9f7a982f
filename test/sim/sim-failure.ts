/** The simulator has caught a broken invariant. */
export class SimFailure extends Error {
  /** The invariant's name in this folder's README, such as `I5`. */
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.name = 'SimFailure';
    this.invariant = invariant;
  }
}

export function check(condition: boolean, invariant: string, message: () => string): void {
  if (!condition) throw new SimFailure(invariant, message());
}

/** As {@link check}, for places where making the message beforehand would cost more than the check. */
export function broken(invariant: string, message: string): never {
  throw new SimFailure(invariant, message);
}
