import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { joinCommand, splitCommand } from '../../src/web/ui/src/model/command-line.ts';

function args(line: string): readonly string[] {
  const outcome = splitCommand(line);
  return outcome.kind === 'ok' ? outcome.args : assert.fail(outcome.message);
}

describe('a typed command line', () => {
  it('is split at blanks', () => {
    assert.deepEqual(args('  echo one\ttwo\nthree '), ['echo', 'one', 'two', 'three']);
  });

  it('keeps what stands in quotes together, empty arguments too', () => {
    assert.deepEqual(args(`sh -c 'date; hostname' "" a"b c"d`), ['sh', '-c', 'date; hostname', '', 'ab cd']);
  });

  it('expands nothing: no shell takes part', () => {
    assert.deepEqual(args('echo $HOME * `id` a|b'), ['echo', '$HOME', '*', '`id`', 'a|b']);
  });

  it('knows the backslash outside of quotes and, for " and \\, within double ones', () => {
    assert.deepEqual(args(String.raw`a\ b "c\"d\\e\n" 'f\g'`), ['a b', String.raw`c"d\e\n`, String.raw`f\g`]);
  });

  it('is refused with the reason where it is not finished', () => {
    assert.deepEqual(splitCommand("echo 'abc"), { kind: 'error', message: "A ' is not closed." });
    assert.deepEqual(splitCommand('echo \\'), { kind: 'error', message: 'The line ends in a backslash.' });
    assert.equal(splitCommand('   ').kind, 'error');
    assert.deepEqual(splitCommand("'' x"), { kind: 'error', message: 'The program name is empty.' });
  });

  it('comes back the same after having been written out', () => {
    const each = ['/bin/sh', '-c', `echo "it's" \\ $x`, '', 'a b', 'plain-1.0', '"'];
    assert.deepEqual(args(joinCommand(each)), each);
  });
});
