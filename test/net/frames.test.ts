import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFrame, FrameDecoder, FrameTooLongError } from '../../src/net/frames.ts';

const bodies = ['', 'a', 'hello', 'x'.repeat(1_000)].map((text) => Buffer.from(text));
const stream = Buffer.concat(bodies.map((body) => encodeFrame(body)));
const texts = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString());

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    for (const size of [1, 2, 3, 4, 5, 7, 64, 1_001, stream.byteLength]) {
      const decoder = new FrameDecoder(1_000);
      const frames: Uint8Array[] = [];
      for (let at = 0; at < stream.byteLength; at += size)
        frames.push(...decoder.push(stream.subarray(at, at + size)));
      assert.deepEqual(texts(frames), texts(bodies), `in pieces of ${size}`);
    }
  });

  it('may be made of several parts', () => {
    const [frame] = new FrameDecoder(10).push(encodeFrame(Buffer.from('ab'), Buffer.from('c')));
    assert.equal(Buffer.from(frame!).toString(), 'abc');
  });

  it('of the greatest length pass, longer ones are refused when they are announced', () => {
    assert.equal(new FrameDecoder(5).push(encodeFrame(Buffer.from('12345'))).length, 1);
    const announced = encodeFrame(Buffer.from('123456')).subarray(0, 4);
    assert.throws(
      () => new FrameDecoder(5).push(announced),
      (error) => error instanceof FrameTooLongError && error.lengthBytes === 6 && error.limitBytes === 5,
    );
  });
});
