/**
 * Goal: whoever types something wrong into the form is told which field, what was typed (shortened) and what may stand
 * there, and what the server refuses is shown at the field it is about.
 */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { LIMITS } from '../../src/api/limits.ts';
import { taskRequestSchema } from '../../src/api/tasks.ts';
import { draftFieldOf, EMPTY_DRAFT, toRequest } from '../../src/web/ui/src/model/draft.ts';
import type { Draft, DraftField } from '../../src/web/ui/src/model/draft.ts';

const script: Draft = { ...EMPTY_DRAFT, script: 'print(1)\n' };
const LONG = '9'.repeat(5_000);
const MESSAGE_CHARS_MAX = 200;

/** What is typed, and what must be said of it. */
const BAD: readonly (readonly [field: DraftField, typed: string, says: readonly string[]])[] = [
  ['script', ' \n', ['nothing to send']],
  ['command', "echo 'a", ['not closed']],
  ['name', 'n'.repeat(LIMITS.nameCharsMax + 1), ['name', '200 characters', 'not 201']],
  ['interpreter', 'i'.repeat(5_000), ['interpreter', '4,096 characters', 'not 5,000']],
  ['timeoutSeconds', '0', ['time limit', '“0”', 'whole number from 1 to 2,592,000']],
  ['timeoutSeconds', '1.5', ['“1.5”', 'whole number']],
  ['maxAttempts', '101', ['attempts', '“101”', '1 to 100']],
  ['priority', 'high', ['priority', '“high”', '0 to 100']],
  ['backoffSeconds', '86401', ['pause', '“86401”', '0 to 86,400']],
  ['delaySeconds', '-1', ['delay', '“-1”', '0 to 31,536,000']],
  ['cpu', '1025', ['cores', '“1025”', 'number from 0 to 1,024']],
  ['memoryMb', '1.5', ['memory', '“1.5”', '0 to 16,777,216']],
  ['noRetryExitCodes', '2, 256', ['exit codes', '“256”', '0 to 255']],
  ['labels', 'team', ['labels', '“team”', 'key=value']],
  ['constraints', '=x', ['constraints', '“=x”', 'key=value']],
  ['env', 'A=1\nB', ['environment', '“b”', 'key=value']],
  ['cwd', 'tmp', ['folder', '“tmp”', 'begin with /']],
  ['cwd', `/${'d'.repeat(4_096)}`, ['folder', '4,096 characters', 'not 4,097']],
];
/** Whatever is typed there is a value, or is for the server to judge. */
const ANYTHING: readonly DraftField[] = ['stdin', 'after', 'collect', 'onDisconnect'];

function refusal(field: DraftField, typed: string): { readonly field: DraftField; readonly message: string } {
  const outcome = toRequest({ ...script, mode: field === 'command' ? 'command' : 'script', [field]: typed });
  return outcome.kind === 'error' ? outcome : assert.fail(`${field} takes ${typed}`);
}

describe('a field of the form with something wrong in it', () => {
  for (const [field, typed, says] of BAD) {
    it(`${field}: ${says.join(', ')}`, () => {
      const refused = refusal(field, typed);
      assert.equal(refused.field, field);
      for (const part of says) assert.ok(refused.message.toLowerCase().includes(part), refused.message);
      assert.ok(refused.message.length <= MESSAGE_CHARS_MAX, refused.message);
    });
  }

  it('is shown short, however much was typed', () => {
    const quoting = BAD.filter(([, , says]) => says.some((part) => part.startsWith('“')));
    for (const [field] of quoting) {
      const typed = field === 'cwd' ? 'd'.repeat(4_000) : LONG;
      const { message } = refusal(field, typed);
      assert.ok(message.length <= MESSAGE_CHARS_MAX, `${field}: ${message.length} characters`);
      assert.ok(message.includes(`(${typed.length} characters)`), message);
    }
  });

  it('is looked at here, whichever it is', () => {
    const seen = new Set([...BAD.map(([field]) => field), ...ANYTHING]);
    const fields = Object.keys(EMPTY_DRAFT).filter((name) => name !== 'mode' && name !== 'files');
    assert.deepEqual([...seen].toSorted(), fields.toSorted());
  });
});

describe('what the server refuses', () => {
  it('belongs to a field of the form, whatever field of a task it is about', () => {
    const nowhere = Object.keys(taskRequestSchema.shape).filter((name) => draftFieldOf(name) === null);
    // They are chosen, not typed.
    assert.deepEqual(nowhere, ['files']);
    assert.equal(draftFieldOf('timeoutMs'), 'timeoutSeconds');
    assert.equal(draftFieldOf('env.PATH'), 'env');
    assert.equal(draftFieldOf('labels["a b"]'), 'labels');
    assert.equal(draftFieldOf('collect[3]'), 'collect');
    for (const name of ['body', 'mode', 'nonsense', 'toString', '']) assert.equal(draftFieldOf(name), null);
  });
});
