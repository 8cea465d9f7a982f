import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { LIMITS } from '../../src/api/limits.ts';
import { taskRequestSchema } from '../../src/api/tasks.ts';
import type { TaskView } from '../../src/api/tasks.ts';
import { task } from './tasks.ts';
import { afterSend, draftOf, EMPTY_DRAFT, parseDraft, toRequest } from '../../src/web/ui/src/model/draft.ts';
import type { Draft } from '../../src/web/ui/src/model/draft.ts';

const script: Draft = { ...EMPTY_DRAFT, script: 'print(1)\n' };

describe('the form', () => {
  it('becomes a request with nothing but what was given', () => {
    assert.deepEqual(toRequest(script), { kind: 'ok', request: { script: 'print(1)\n' } });
  });

  it('becomes a request that the server takes, with every option filled in', () => {
    const outcome = toRequest({
      ...script,
      name: ' sums ',
      interpreter: 'python3',
      timeoutSeconds: '90',
      maxAttempts: '3',
      priority: '0',
    });
    const request = {
      script: 'print(1)\n',
      interpreter: 'python3',
      name: 'sums',
      timeoutMs: 90_000,
      maxAttempts: 3,
      priority: 0,
    };
    assert.deepEqual(outcome, { kind: 'ok', request });
    assert.deepEqual(taskRequestSchema.parse(request), request);
  });

  it('takes every field of a task, and gives it back to be edited again', () => {
    const filled: Draft = {
      ...script,
      name: 'all',
      backoffSeconds: '2',
      maxAttempts: '3',
      noRetryExitCodes: '2, 64',
      delaySeconds: '10',
      cpu: '1.5',
      memoryMb: '256',
      labels: 'team=blue\n a=b=c ',
      constraints: 'gpu=yes',
      env: 'HOME_PAGE=http://x/?a=b',
      cwd: '/tmp',
      stdin: 'some\ninput',
      after: 'a1, b2\nc3',
      onDisconnect: 'stop',
      collect: 'out/*.png\n\n*.txt',
      files: [{ path: 'in.txt', contentBase64: 'aGk=' }],
    };
    const outcome = toRequest(filled);
    const request = {
      ...{ script: 'print(1)\n', name: 'all', backoffMs: 2_000, maxAttempts: 3, noRetryExitCodes: [2, 64] },
      ...{ delayMs: 10_000, cpu: 1.5, memoryMb: 256, labels: { team: 'blue', a: 'b=c' } },
      ...{ constraints: { gpu: 'yes' }, env: { HOME_PAGE: 'http://x/?a=b' }, cwd: '/tmp' },
      ...{ stdin: 'some\ninput', after: ['a1', 'b2', 'c3'], onDisconnect: 'stop' },
      ...{ collect: ['out/*.png', '*.txt'], files: [{ path: 'in.txt', contentBase64: 'aGk=' }] },
    };
    assert.deepEqual(outcome, { kind: 'ok', request });
    assert.deepEqual(taskRequestSchema.parse(request), request);
    const known = new Set(Object.keys(taskRequestSchema.shape));
    for (const field of ['command', 'interpreter', 'timeoutMs', 'priority', ...Object.keys(request)])
      known.delete(field);
    assert.deepEqual([...known], [], 'fields that the form does not know');
    const submitted: Partial<TaskView> = { ...request, onDisconnect: 'stop' };
    const again = draftOf(task(1, submitted));
    assert.deepEqual(toRequest(again), outcome);
  });

  it('names the field and quotes what is wrong in it', () => {
    const problem = (change: Partial<Draft>): string => {
      const outcome = toRequest({ ...script, ...change });
      return outcome.kind === 'ok' ? 'ok' : `${outcome.field}: ${outcome.message}`;
    };
    assert.equal(problem({ env: 'A=1\nB' }), 'env: Environment: “B” is not KEY=VALUE.');
    assert.match(problem({ noRetryExitCodes: '2 300' }), /^noRetryExitCodes: .*“300”.*0 to 255/);
    assert.match(problem({ cpu: 'many' }), /^cpu: .*number from 0 to 1,024/);
    assert.match(problem({ delaySeconds: '1.5' }), /^delaySeconds: /);
    assert.match(problem({ cwd: 'tmp' }), /^cwd: .*\//);
  });

  it('sends a command without the interpreter and the script that also stand in the form', () => {
    const outcome = toRequest({ ...script, mode: 'command', command: 'echo "a b"', interpreter: 'ruby' });
    assert.deepEqual(outcome, { kind: 'ok', request: { command: ['echo', 'a b'] } });
  });

  it('names the field that is in the way', () => {
    const fieldOf = (change: Partial<Draft>): string => {
      const outcome = toRequest({ ...script, ...change });
      return outcome.kind === 'error' ? outcome.field : 'none';
    };
    assert.equal(fieldOf({ script: ' \n' }), 'script');
    assert.equal(fieldOf({ mode: 'command', command: "'" }), 'command');
    assert.equal(fieldOf({ timeoutSeconds: '1.5' }), 'timeoutSeconds');
    assert.equal(fieldOf({ maxAttempts: '0' }), 'maxAttempts');
    assert.equal(fieldOf({ priority: 'high' }), 'priority');
    assert.equal(fieldOf({ name: 'x'.repeat(LIMITS.nameCharsMax + 1) }), 'name');
  });

  it('states the limit of a payload that is too large, counted in bytes as sent', () => {
    const tooLarge = toRequest({ ...script, script: 'ä'.repeat(LIMITS.taskBytesMax / 2) });
    assert.match(tooLarge.kind === 'error' ? tooLarge.message : '', /1,048,576 are allowed/);
  });

  it('is cleared of the payload after sending, and keeps the options', () => {
    assert.deepEqual(afterSend({ ...script, name: 'x' }), { ...EMPTY_DRAFT, name: 'x' });
  });

  it('comes back after a reload, and takes nothing that is not a draft', () => {
    const draft: Draft = { ...script, mode: 'command', command: 'ls', priority: '7' };
    assert.deepEqual(parseDraft(JSON.parse(JSON.stringify(draft))), draft);
    assert.equal(parseDraft(null), null);
    assert.deepEqual(parseDraft({ script: 5, mode: 'other' }), EMPTY_DRAFT);
  });
});
