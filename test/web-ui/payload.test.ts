import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { expectedMs, generatePayload } from '../../src/web/ui/src/model/payload.ts';

/** Gives the listed numbers, one a call. */
function draws(...numbers: number[]): () => number {
  return () => numbers.shift() ?? assert.fail('drawn more often than expected');
}

const ALMOST_ONE = 1 - Number.EPSILON;

function numbersOf(script: string): { seconds: number; a: number; b: number } {
  const match = /^time\.sleep\((\d+)\)\nprint\((\d+) \+ (\d+)\)$/m.exec(script);
  assert.ok(match, script);
  return { seconds: Number(match[1]), a: Number(match[2]), b: Number(match[3]) };
}

describe('the generated payload', () => {
  it('imports time, sleeps 10 to 60 whole seconds and adds two numbers from 1 to 10', () => {
    assert.deepEqual(numbersOf(generatePayload(draws(0, 0, 0))), { seconds: 10, a: 1, b: 1 });
    const highest = generatePayload(draws(ALMOST_ONE, ALMOST_ONE, ALMOST_ONE));
    assert.deepEqual(numbersOf(highest), { seconds: 60, a: 10, b: 10 });
    assert.match(highest, /^import time\n/);
  });

  it('is a Python program that prints the sum', () => {
    const script = generatePayload(draws(0.5, 0.35, 0.85)).replace(/sleep\(\d+\)/, 'sleep(0)');
    const python = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
    assert.equal(python.stderr, '');
    assert.equal(python.stdout, '13\n');
  });

  it('draws anew each time', () => {
    const scripts = new Set(Array.from({ length: 40 }, () => generatePayload()));
    assert.ok(scripts.size > 20, `${String(scripts.size)} different ones of 40`);
  });

  it('is recognised, so that the page can tell how long it will take', () => {
    assert.equal(expectedMs(generatePayload(draws(0, 0, 0))), 10_000);
  });

  it('is not recognised in other scripts: their time is unknown', () => {
    const generated = generatePayload(draws(0, 0, 0));
    assert.equal(expectedMs(`${generated}time.sleep(99)\n`), null);
    assert.equal(expectedMs('import time\ntime.sleep(10)\n'), null);
  });
});
