/**
 * The deterministic simulator (main.ts has the command): fixed seeds, so that a change that breaks consensus is noticed,
 * and some fresh ones, so that every run looks somewhere new. A failure prints the command that replays it.
 */
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { KIND_NAMES, runSeed, type KindName } from './runs.ts';

const FIRST_SEED = 1;
/** What costs more is run less. */
const SEEDS: Readonly<Record<KindName, number>> = { core: 130, node: 40, tasks: 30 };
const FRESH_SEEDS = 5;
const FRESH_SEEDS_END = 2 ** 31;

async function runSeeds(kind: KindName, first: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) await runSeed(kind, seed);
}

for (const kind of KIND_NAMES) {
  describe(`simulated clusters of three and five, kind ${kind}`, () => {
    const last = FIRST_SEED + SEEDS[kind] - 1;
    it(`keep every invariant and come right after the faults: seeds ${String(FIRST_SEED)} to ${String(last)}`, async () => {
      await runSeeds(kind, FIRST_SEED, SEEDS[kind]);
    });

    const fresh = randomInt(FRESH_SEEDS_END);
    it(`and so do ${String(FRESH_SEEDS)} fresh seeds from ${String(fresh)} on`, async () => {
      await runSeeds(kind, fresh, FRESH_SEEDS);
    });
  });
}
