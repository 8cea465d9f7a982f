/** The simulator finds deliberate bugs (mutants.ts has the command for all of them, docs/testing.md the table). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MUTANTS } from './mutants/all.ts';
import { huntDown } from './mutants/hunt.ts';
import { mutatedFiles } from './mutants/mutated-files.ts';

const MUTANTS_MIN = 25;
/** Found at once; more seeds would only hide that the simulator has become worse. */
const FAST: readonly (readonly [name: string, seeds: number])[] = [
  ['vote-not-persisted', 10],
  ['old-term-committed-by-counting', 20],
  ['no-check-quorum', 10],
  ['durable-before-the-write', 10],
];

describe('the mutants', () => {
  it('fit the sources as they are', () => {
    for (const mutant of MUTANTS) {
      for (const [file, text] of mutatedFiles(mutant)) assert.notEqual(text, '', file);
    }
  });

  it('are many, and each has a name of its own', () => {
    assert.ok(MUTANTS.length >= MUTANTS_MIN);
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  });

  for (const [name, seeds] of FAST) {
    it(`are caught by the simulator: ${name} within ${String(seeds)} seeds`, async () => {
      const mutant = MUTANTS.find((candidate) => candidate.name === name);
      assert.ok(mutant !== undefined);
      assert.notEqual(await huntDown(mutant, { seeds }), null);
    });
  }
});
