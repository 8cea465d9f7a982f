/**
 * The deterministic simulator (main.ts has the command): fixed seeds, so that a change that breaks consensus is noticed,
 * and some fresh ones, so that every run looks somewhere new. A failure prints the command that replays it.
 */
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { World } from './world.ts';

const FIRST_SEED = 1;
const SEEDS = 200;
const FRESH_SEEDS = 10;
const FRESH_SEEDS_END = 2 ** 31;

function runSeed(seed: number): void {
  new World({ seed, nodes: seed % 2 === 0 ? 3 : 5 }).run();
}

describe('simulated clusters of three and five', () => {
  it(`keep every invariant and come right after the faults: seeds ${String(FIRST_SEED)} to ${String(FIRST_SEED + SEEDS - 1)}`, () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) runSeed(seed);
  });

  const fresh = randomInt(FRESH_SEEDS_END);
  it(`and so do ${String(FRESH_SEEDS)} fresh seeds from ${String(fresh)} on`, () => {
    for (let seed = fresh; seed < fresh + FRESH_SEEDS; seed++) runSeed(seed);
  });
});
