/** Which commands are taken for a script that was meant to be sent. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { scriptHint } from '../../src/cli/script-hint.ts';
import { tempFolder } from './cli.ts';

describe('a file given as a command', () => {
  const folder = tempFolder();
  const script = join(folder, 'job.py');
  writeFileSync(script, 'print(1)\n', { mode: 0o644 });

  it('is pointed out, with what sends it', () => {
    assert.match(scriptHint([script]) ?? '', /is a file here.*: -f .*job\.py sends it as a script$/);
  });

  it('with arguments: with a command that takes them', () => {
    const hint = scriptHint([script, '10']) ?? '';
    assert.match(hint, /--with-file .*job\.py sends it along, for a command like: -- python3 .*job\.py 10$/);
  });

  it('is not where it can be run, or is no file here', () => {
    chmodSync(script, 0o755);
    for (const words of [[script], [folder], [join(folder, 'other.py')], ['python3'], []])
      assert.equal(scriptHint(words), null, words.join(' '));
  });
});
