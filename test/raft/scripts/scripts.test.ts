/**
 * The interaction scripts in golden/: each is run anew and must come out as it stands there. After a change that is meant
 * to change them:  CLB_REWRITE_SCRIPTS=1 node --import tsx --test test/raft/scripts/scripts.test.ts
 * and then read the difference: every line says what a server does.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runScript } from './interaction.ts';

const FOLDER = join(import.meta.dirname, 'golden');
const isRewriting = process.env['CLB_REWRITE_SCRIPTS'] === '1';

describe('interaction scripts', () => {
  for (const name of readdirSync(FOLDER).sort()) {
    it(`${name} goes as written down`, () => {
      const file = join(FOLDER, name);
      const golden = readFileSync(file, 'utf8');
      const outcome = runScript(golden);
      if (isRewriting) writeFileSync(file, outcome);
      else assert.equal(outcome, golden);
    });
  }

  it('would not go unnoticed if it changed: an outcome that is not there is a difference', () => {
    assert.match(
      runScript('> cluster voters=n1\n> tick n1 10\n> status n1'),
      /\n {2}n1 leader in term 1, vote n1/,
    );
    assert.throws(() => runScript('> cluster voters=n2 learners=n1\n> timeout n1'), /n1 does not stand/);
    assert.throws(() => runScript('> nonsense n1'), /no node n1/);
    assert.throws(() => runScript('> cluster voters=n1\n> nonsense n1'), /unknown command nonsense/);
    assert.throws(() => runScript('what is this'), /neither command nor comment/);
  });
});
