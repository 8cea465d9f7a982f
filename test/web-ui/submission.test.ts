import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { TaskView } from '../../src/api/tasks.ts';
import { ApiFailure } from '../../src/web/ui/src/net/client.ts';
import type { FailureCode } from '../../src/web/ui/src/net/client.ts';
import { advice, fieldOf, newKey, send, SEND_MS_MAX } from '../../src/web/ui/src/net/submission.ts';
import type { SendOutcome } from '../../src/web/ui/src/net/submission.ts';
import { FakeClock } from './fake-clock.ts';
import { task } from './tasks.ts';

function failed(code: FailureCode, retryAfterMs: number | null = null): ApiFailure {
  return new ApiFailure(code, `it is ${code}`, { retryAfterMs });
}

/** Sends against these answers, one a try; the last one stays. */
function sending(...answers: (TaskView | ApiFailure)[]) {
  const clock = new FakeClock();
  const beganMs = clock.now();
  const keys: string[] = [];
  const triedMs: number[] = [];
  const retries: string[] = [];
  const stop = new AbortController();
  let outcome: SendOutcome | null = null;
  void send({
    submit: (_request, key) => {
      keys.push(key);
      triedMs.push(clock.now() - beganMs);
      const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? assert.fail();
      return answer instanceof ApiFailure ? Promise.reject(answer) : Promise.resolve(answer);
    },
    request: { script: 'x' },
    key: 'the-key',
    clock,
    signal: stop.signal,
    onRetry: (attempt, failure) => retries.push(`${String(attempt)} ${failure.code}`),
  }).then((ended) => {
    outcome = ended;
  });
  return { clock, keys, triedMs, retries, stop, outcome: () => outcome };
}

describe('Send Payload', () => {
  it('sends once where the answer is good', async () => {
    const { clock, keys, outcome } = sending(task(1));
    await clock.pass(60_000);
    assert.deepEqual(keys, ['the-key']);
    assert.equal(outcome()?.kind, 'accepted');
  });

  it('tries again under the same key while there is no master', async () => {
    const { clock, keys, retries, outcome } = sending(
      failed('NO_LEADER'),
      failed('UNKNOWN_OUTCOME'),
      failed('NETWORK'),
      task(1),
    );
    await clock.pass(20_000);
    assert.deepEqual(new Set(keys), new Set(['the-key']));
    assert.deepEqual(retries, ['2 NO_LEADER', '3 UNKNOWN_OUTCOME', '4 NETWORK']);
    assert.equal(outcome()?.kind, 'accepted');
  });

  it('waits as long as the server asks for', async () => {
    const { clock, triedMs } = sending(failed('NO_LEADER', 2_000), failed('NO_LEADER', 1_000), task(1));
    await clock.pass(20_000);
    assert.deepEqual(triedMs, [0, 2_000, 3_000]);
  });

  it('does not try again what will be refused again', async () => {
    for (const code of ['INVALID', 'TOO_LARGE', 'QUEUE_FULL', 'FORBIDDEN', 'CONFLICT'] as const) {
      const { clock, keys, outcome } = sending(failed(code));
      await clock.pass(60_000);
      assert.equal(keys.length, 1, code);
      assert.equal(mayExist(outcome()), false, code);
    }
  });

  it('gives up after a while, and knows whether the task may exist', async () => {
    const refused = sending(failed('NO_QUORUM'));
    await refused.clock.pass(2 * SEND_MS_MAX);
    assert.equal(mayExist(refused.outcome()), false);
    assert.ok(refused.keys.length > 5, String(refused.keys.length));
    const lost = sending(failed('NETWORK'), failed('NO_QUORUM'));
    await lost.clock.pass(2 * SEND_MS_MAX);
    assert.equal(mayExist(lost.outcome()), true, 'the first try may have arrived');
  });

  it('takes a garbled answer for an unknown outcome', async () => {
    const { clock, outcome } = sending(failed('UNREADABLE'));
    await clock.pass(1_000);
    assert.equal(mayExist(outcome()), true);
  });

  it('stops waiting at once when told to', async () => {
    const { clock, stop, keys, outcome } = sending(failed('NO_LEADER'));
    await clock.pass(100);
    stop.abort();
    await clock.pass(0);
    assert.equal(outcome()?.kind, 'failed');
    assert.equal(keys.length, 1);
  });
});

function mayExist(outcome: SendOutcome | null): boolean {
  return outcome?.kind === 'failed' ? outcome.mayExist : assert.fail('it did not fail');
}

describe('what a person is told', () => {
  it('names the field that the server named', () => {
    const named = (details: unknown): string | null => fieldOf(new ApiFailure('INVALID', '', { details }));
    assert.equal(named({ field: 'timeoutMs', problems: [] }), 'timeoutMs');
    assert.equal(named([{ field: 'env.PATH' }]), 'env.PATH');
    assert.equal(named({ path: ['labels', 'a'] }), 'labels.a');
    assert.equal(named(undefined), null);
    assert.equal(named('text'), null);
  });

  it('says that sending again is safe where the outcome is open', () => {
    assert.match(advice(failed('NETWORK'), true), /never run twice/);
    assert.match(advice(failed('NO_QUORUM'), false), /Nothing was accepted/);
  });
});

describe('a key', () => {
  it('has 128 random bits', () => {
    let next = 0;
    const key = newKey((length) => Uint8Array.from({ length }, () => (next += 1)));
    assert.equal(key, 'page-0102030405060708090a0b0c0d0e0f10');
  });
});
