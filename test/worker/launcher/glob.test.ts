import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { globDepth, globMatches } from '../../../src/worker/launcher/glob.ts';

function matching(pattern: string, paths: readonly string[]): readonly string[] {
  return paths.filter((path) => globMatches(pattern, path));
}

describe('patterns of collect', () => {
  const paths = ['a.txt', 'b.log', 'out/a.txt', 'out/deep/c.txt', '.hidden', '.tmp/x.txt', 'a[1]', 'ü.txt'];

  it('match within a name by * and ?', () => {
    assert.deepEqual(matching('*.txt', paths), ['a.txt', 'ü.txt']);
    assert.deepEqual(matching('?.*', paths), ['a.txt', 'b.log', 'ü.txt']);
    assert.deepEqual(matching('out/*', paths), ['out/a.txt']);
    assert.deepEqual(matching('a.txt', paths), ['a.txt']);
  });

  it('match any depth by **, and no hidden name unless told', () => {
    assert.deepEqual(matching('**/*.txt', paths), ['a.txt', 'out/a.txt', 'out/deep/c.txt', 'ü.txt']);
    assert.deepEqual(matching('out/**', paths), ['out/a.txt', 'out/deep/c.txt']);
    assert.deepEqual(matching('**/c.txt', paths), ['out/deep/c.txt']);
    assert.deepEqual(matching('.*', paths), ['.hidden']);
    assert.deepEqual(matching('.tmp/*', paths), ['.tmp/x.txt']);
  });

  it('match classes', () => {
    assert.deepEqual(matching('[ab].*', paths), ['a.txt', 'b.log']);
    assert.deepEqual(matching('[!a].*', paths), ['b.log', 'ü.txt']);
    assert.deepEqual(matching('[^a-z].txt', paths), ['ü.txt']);
    assert.deepEqual(matching('a[[]1]', paths), ['a[1]']);
    assert.deepEqual(matching('[', ['[']), ['[']);
  });

  it('take time in proportion to their length, however they are made', () => {
    const startedAt = performance.now();
    assert.equal(globMatches(`${'*a'.repeat(500)}b`, 'a'.repeat(1_000)), false);
    assert.equal(globMatches(`${'**/a/'.repeat(200)}b`, 'a/'.repeat(400) + 'c'), false);
    assert.ok(performance.now() - startedAt < 2_000);
  });

  it('say how deep they reach', () => {
    assert.deepEqual(['*.txt', 'a/b/*', '**/x', 'out/'].map(globDepth), [1, 3, Infinity, 1]);
  });
});
