/**
 * Whether a history of operations could have come from one place that carries them out one after another (Wing and Gong, with
 * the states that were seen before remembered, as Lowe and Porcupine do it). Meant for short histories: one object each.
 */

export interface Operation<Call, Answer> {
  /** True times; `returnedMs` is Infinity where nobody knows whether, or when, it was carried out. */
  readonly calledMs: number;
  readonly returnedMs: number;
  readonly call: Call;
  /** null: unknown. */
  readonly answer: Answer | null;
}

export interface Model<State, Call, Answer> {
  readonly initial: State;
  /** The states in which the object may be after it; none: it can't have answered that. */
  readonly step: (state: State, call: Call, answer: Answer | null) => readonly State[];
  /** Equal for equal states. */
  readonly nameOf: (state: State) => string;
}

/** @returns whether there is an order, true to the times, in which the model gives these answers */
export function isLinearizable<State, Call, Answer>(
  operations: readonly Operation<Call, Answer>[],
  { initial, step, nameOf }: Model<State, Call, Answer>,
): boolean {
  const sorted = [...operations].sort((a, b) => a.calledMs - b.calledMs);
  const tried = new Set<string>();
  const search = (done: ReadonlySet<number>, state: State): boolean => {
    const left = sorted.flatMap((operation, at) => (done.has(at) ? [] : [{ operation, at }]));
    // Of what nobody has heard the end of, nothing need have happened.
    if (left.every(({ operation }) => operation.returnedMs === Infinity)) return true;
    const name = `${[...done].sort((a, b) => a - b).join()} ${nameOf(state)}`;
    if (tried.has(name)) return false;
    tried.add(name);
    // What has returned before another one was called comes before it.
    const firstReturnMs = Math.min(...left.map(({ operation }) => operation.returnedMs));
    for (const { operation, at } of left) {
      if (operation.calledMs > firstReturnMs) break;
      const after = new Set(done).add(at);
      for (const next of step(state, operation.call, operation.answer)) if (search(after, next)) return true;
    }
    return false;
  };
  return search(new Set(), initial);
}
