/**
 * The deterministic simulator (main.ts has the command): fixed seeds, so that a change that breaks consensus is noticed,
 * and some fresh ones, so that every run looks somewhere new. A failure prints the command that replays it.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { FaultCounts } from './faults.ts';
import { kindOfSeed } from './seed-kinds.ts';
import { KIND_NAMES } from './seed-order.ts';
import { runSeeds } from './seed-pool.ts';

const FIXED_SEEDS = 500;
const FRESH_SEEDS = 25;
const IDLE_MS = 60_000;
const FRESH_SEEDS_END = 2 ** 31;

/** @throws with the first failure's last events and the command that replays it */
async function simulate(first: number, count: number): Promise<FaultCounts> {
  const faults = new FaultCounts();
  const orders = Array.from({ length: count }, (_, at) => ({
    kind: kindOfSeed(first + at),
    seed: first + at,
  }));
  const failures: string[] = [];
  await runSeeds(orders, {
    onAnswer: ({ report, failure }) => {
      if (failure !== null) failures.push(failure.text);
      if (report !== null) faults.add(report.faults);
      return failure === null;
    },
  });
  assert.deepEqual(failures, []);
  return faults;
}

describe('simulated clusters', () => {
  it(`keep every invariant and come right after the faults, each of which strikes: seeds 1 to ${String(FIXED_SEEDS)}`, async () => {
    const faults = await simulate(1, FIXED_SEEDS);
    assert.deepEqual(faults.missing(), []);
  });

  const fresh = randomInt(FRESH_SEEDS_END);
  it(`and so do ${String(FRESH_SEEDS)} fresh seeds from ${String(fresh)} on`, async () => {
    await simulate(fresh, FRESH_SEEDS);
  });

  it('without load and without faults elect one leader, and keep it for a minute: three servers of each kind', async () => {
    const leaders: string[] = [];
    const orders = KIND_NAMES.map((kind) => ({ kind, seed: 1, voters: 3, idleMs: IDLE_MS }));
    await runSeeds(orders, {
      onAnswer: ({ order, report, failure }) => {
        leaders.push(`${order.kind}: ${failure?.text ?? String(report?.leaders)}`);
        return true;
      },
    });
    assert.deepEqual(
      leaders.sort(),
      KIND_NAMES.map((kind) => `${kind}: 1`),
    );
  });
});
