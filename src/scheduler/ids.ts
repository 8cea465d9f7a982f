import { createHash } from 'node:crypto';

/** Crockford's base 32: no i, l, o, u. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID_CHARS = 16;
const BYTES_PER_ID = 10;
/** Random bytes are fetched for so many ids at a time. */
const POOL_IDS = 128;

/** The id of the task that a schedule makes at a time: always the same, so that it can't come about twice. */
export function taskIdOfTick(schedule: string, time: number): string {
  const digest = createHash('sha256').update(`${schedule} ${time}`).digest();
  return new IdMaker(() => digest).next();
}

/** Makes ids of tasks: 80 random bits as 16 characters. */
export class IdMaker {
  readonly #randomBytes: (count: number) => Uint8Array;
  #pool: Uint8Array = new Uint8Array(0);
  #used = 0;

  constructor(randomBytes: (count: number) => Uint8Array) {
    this.#randomBytes = randomBytes;
  }

  next(): string {
    if (this.#used + BYTES_PER_ID > this.#pool.length) {
      this.#pool = this.#randomBytes(POOL_IDS * BYTES_PER_ID);
      this.#used = 0;
    }
    let id = '';
    let bits = 0;
    let bitCount = 0;
    for (let at = this.#used; id.length < ID_CHARS; at += 1) {
      bits = (bits << 8) | (this.#pool[at] ?? 0);
      bitCount += 8;
      while (bitCount >= 5) {
        bitCount -= 5;
        id += ALPHABET[(bits >>> bitCount) & 31] ?? '';
      }
      bits &= (1 << bitCount) - 1;
    }
    this.#used += BYTES_PER_ID;
    return id;
  }
}
