/** A process that simulates: takes one seed at a time from its parent and answers with what came of it. */
import { makeRun } from './runs.ts';
import type { SeedOrder } from './seed-order.ts';
import { SimFailure } from './sim-failure.ts';
import { RunFailure, type RunReport } from './world.ts';

export interface SeedFailure {
  /** null: an assertion of the code itself, which the simulation has driven into it. */
  readonly invariant: string | null;
  readonly message: string;
  /** Stack, last events, and the command that replays it. */
  readonly text: string;
}

export interface SeedAnswer {
  readonly order: SeedOrder;
  readonly report: RunReport | null;
  readonly failure: SeedFailure | null;
}

async function carryOut(order: SeedOrder): Promise<SeedAnswer> {
  try {
    const run = makeRun(order);
    const report = await (order.idleMs == null ? run.run() : run.idle(order.idleMs));
    return { order, report, failure: null };
  } catch (error) {
    return { order, report: null, failure: describe(error) };
  }
}

function describe(error: unknown): SeedFailure {
  const cause: unknown = error instanceof RunFailure ? error.cause : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  const text = error instanceof Error ? error.message : String(error);
  return { invariant: cause instanceof SimFailure ? cause.invariant : null, message, text };
}

process.on('message', (order: SeedOrder) => {
  carryOut(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
