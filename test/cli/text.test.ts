/** The small parts that make a table: widths, times, short ids, the last lines. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { age, duration, printable, shortener } from '../../src/cli/format.ts';
import { table } from '../../src/cli/table.ts';
import { Tail } from '../../src/cli/tail.ts';
import { wantsColor } from '../../src/cli/terminal.ts';

describe('a table', () => {
  it('is aligned, also with wide characters, and has nothing at the end of its lines', () => {
    const columns = [
      { header: 'NAME', value: (row: readonly [string, number]) => row[0] },
      { header: 'N', value: (row: readonly [string, number]) => String(row[1]), align: 'right' as const },
      { header: 'LAST', value: (row: readonly [string, number]) => row[0] },
    ];
    assert.deepEqual(
      table(columns, [
        ['漢字', 5],
        ['abc', 100],
      ]),
      ['NAME    N  LAST', '漢字    5  漢字', 'abc   100  abc'],
    );
    assert.deepEqual(table(columns, []), ['NAME  N  LAST']);
  });
});

describe('times', () => {
  it('are as short as they tell', () => {
    assert.deepEqual(
      [-5, 0, 450, 4_249, 9_999, 10_000, 59_999, 61_000, 3_600_000, 7_500_000, 90_000_000].map(duration),
      ['0ms', '0ms', '450ms', '4.2s', '9.9s', '10s', '59s', '1m01s', '1h00m', '2h05m', '1d01h'],
    );
    const at = Date.parse('2026-01-01T00:00:00.000Z');
    const ago = (seconds: number): string => age(new Date(at - seconds * 1_000).toISOString(), at);
    assert.deepEqual([0, 12, 119, 120, 7_199, 7_200, 172_800].map(ago), [
      'now',
      '12s',
      '119s',
      '2m',
      '119m',
      '2h',
      '2d',
    ]);
    assert.equal(age(null, at), '-');
  });
});

describe('short ids', () => {
  it('have 8 characters, or as many as keep them distinct', () => {
    assert.equal(shortener(['0123456789', 'abcdefghij'])('0123456789'), '01234567');
    assert.equal(shortener(['0123456789', '0123456780', '0123456789'])('0123456789'), '0123456789');
  });
});

describe('what comes from tasks', () => {
  it('cannot move the cursor of the terminal', () => {
    assert.equal(printable('a\u001b[2Jb\r\nc\u009bd'), 'a [2Jb c d');
  });
});

describe('colors', () => {
  it('are off with --no-color, NO_COLOR and a dumb terminal', () => {
    for (const [flag, env] of [
      [false, {}],
      [true, { NO_COLOR: '1' }],
      [true, { TERM: 'dumb' }],
    ] as const) {
      assert.equal(wantsColor(flag, env, true), false);
    }
    assert.equal(wantsColor(true, { NO_COLOR: '' }, true), true);
    assert.equal(wantsColor(true, {}, false), false);
  });
});

describe('the last lines', () => {
  const last = (lines: number, ...chunks: string[]): string => {
    const tail = new Tail(lines);
    for (const chunk of chunks) tail.push(Buffer.from(chunk));
    assert.equal(tail.totalBytes, Buffer.byteLength(chunks.join('')));
    return Buffer.from(tail.bytes()).toString();
  };
  it('are found across chunks, with and without an end of the last', () => {
    assert.equal(last(2, 'a\nb\nc\n'), 'b\nc\n');
    assert.equal(last(2, 'a\nb\nc'), 'b\nc');
    assert.equal(last(2, 'a\n', 'b', '\nc', '\n'), 'b\nc\n');
    assert.equal(last(1, 'a\n\n'), '\n');
    assert.equal(last(1, '\n'), '\n');
    assert.equal(last(3, 'a\nb\n'), 'a\nb\n');
    assert.equal(last(5, ''), '');
    assert.equal(last(0, 'a\nb\n'), '');
  });

  it('of many chunks do not keep them all', () => {
    const tail = new Tail(3);
    for (let n = 0; n < 10_000; n += 1) tail.push(Buffer.from(`line ${n}\n`));
    assert.equal(Buffer.from(tail.bytes()).toString(), 'line 9997\nline 9998\nline 9999\n');
  });
});
