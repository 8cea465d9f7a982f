import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeadTail } from '../../../src/worker/launcher/head-tail.ts';

function kept(totalBytes: number, ...chunks: readonly (string | Uint8Array)[]): HeadTail {
  const headTail = new HeadTail(totalBytes);
  for (const chunk of chunks) headTail.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  return headTail;
}

describe('head and tail of a stream', () => {
  it('keeps everything while it fits, however it is cut into chunks', () => {
    const text = 'abcdefghijklmnop';
    for (let size = 1; size <= text.length; size += 1) {
      const chunks = text.match(new RegExp(`.{1,${size}}`, 'g')) ?? [];
      const headTail = kept(16, ...chunks);
      assert.equal(headTail.text(), text);
      assert.equal(headTail.truncated, false);
      assert.equal(headTail.bytes, 16);
    }
  });

  it('keeps the first and the last half of what does not fit, and counts all of it', () => {
    const text = Array.from({ length: 997 }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');
    for (const size of [1, 3, 7, 8, 9, 64, 997]) {
      const headTail = kept(16, ...(text.match(new RegExp(`.{1,${size}}`, 'g')) ?? []));
      assert.equal(headTail.text(), text.slice(0, 8) + text.slice(-8), `chunks of ${size}`);
      assert.equal(headTail.truncated, true);
      assert.equal(headTail.bytes, 997);
    }
  });

  it('cuts between characters, so that the cut itself makes no U+FFFD', () => {
    const text = 'aéüß€𝄞'.repeat(100);
    for (const padding of ['', 'x', 'xx', 'xxx']) {
      const result = kept(64, padding + text + padding).text();
      assert.equal(result.includes('\uFFFD'), false);
      assert.ok(Buffer.byteLength(result) > 64 - 8);
      assert.ok(Buffer.byteLength(result) <= 64);
    }
  });

  it('turns bytes that are not UTF-8 into U+FFFD', () => {
    assert.equal(kept(64, Uint8Array.of(0x61, 0xff, 0x62)).text(), 'a\uFFFDb');
    assert.equal(kept(8, Buffer.alloc(100, 0x80)).text(), '\uFFFD'.repeat(8));
  });

  it('puts a character together again that was cut by chunks, also across the middle', () => {
    const bytes = Buffer.from('abc€def');
    for (let cut = 0; cut <= bytes.byteLength; cut += 1) {
      assert.equal(kept(10, bytes.subarray(0, cut), bytes.subarray(cut)).text(), 'abc€def');
    }
  });

  it('is empty at first', () => {
    assert.equal(kept(16).text(), '');
    assert.equal(kept(16).bytes, 0);
  });
});
