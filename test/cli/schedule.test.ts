/** `clb schedule` and the calls of the library behind it. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { fakeApi } from './cli.ts';

describe('clb schedule', () => {
  it('adds one with the task that the flags of submit make', async () => {
    const { cluster, clb } = await fakeApi();
    const added = await clb(
      ...['schedule', 'add', '0 3 * * *', '--tz', 'Europe/Berlin', '--name', 'backup', '--timeout', '10m'],
      ...['--', './backup.sh', '--all'],
    );
    assert.equal(added.code, 0, added.stderr);
    assert.equal(added.stdout, '5v1r0c8m0x7d3h999\n');
    assert.match(
      added.stderr,
      /first at 2026-01-02T03:00:00.000Z; its tasks: clb tasks --label schedule=5v1r0c8m0x7d3h999/,
    );
    const [schedule] = cluster.schedules;
    assert.deepEqual([schedule?.cron, schedule?.tz], ['0 3 * * *', 'Europe/Berlin']);
    assert.deepEqual(schedule?.task, {
      command: ['./backup.sh', '--all'],
      name: 'backup',
      timeoutMs: 600_000,
    });
  });

  it('lists and removes them', async () => {
    const { cluster, clb } = await fakeApi();
    await clb('schedule', 'add', '@daily', '--', 'true');
    const listed = await clb('schedule', 'list');
    assert.match(
      listed.stdout,
      /^ID +CRON +ZONE +NEXT +LAST +RUNS +MISSED +TASK\n5v1r0c8m +@daily +UTC +2026-01-02T03/,
    );
    assert.equal((await clb('schedule', 'list', '-q')).stdout, '5v1r0c8m0x7d3h999\n');
    assert.equal((await clb('schedule', 'remove', '5v1r0c8m')).code, 0);
    assert.deepEqual(cluster.schedules, []);
    const gone = await clb('schedule', 'remove', '5v1r0c8m');
    assert.equal(gone.code, 3);
    assert.match(gone.stderr, /no schedule 5v1r0c8m/);
  });

  it('says what does not go with it', async () => {
    const { clb } = await fakeApi();
    const bad: readonly (readonly [words: readonly string[], said: RegExp])[] = [
      [['schedule', 'add', '@daily'], /nothing to run/],
      [['schedule', 'add'], /missing required argument 'cron'/],
      [
        ['schedule', 'add', '@daily', '--after', 'abcdefgh', '--', 'true'],
        /--after does not go with a schedule/,
      ],
      [
        ['schedule', 'add', '@daily', '--idempotency-key', 'k', '--', 'true'],
        /--idempotency-key does not go/,
      ],
    ];
    for (const [words, said] of bad) {
      const { code, stderr } = await clb(...words);
      assert.equal(code, 2, words.join(' '));
      assert.match(stderr, said);
    }
  });
});
