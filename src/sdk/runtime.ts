/** What Node and the browser both have, under different names. */

/** What is used of the Web Crypto API; spelled out, because its types are the browser's library's. */
interface RandomSource {
  randomUUID?: () => string;
  getRandomValues(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

/** A random idempotency key. `randomUUID` is missing on pages that came neither by TLS nor from this machine. */
export function randomKey(): string {
  const source: RandomSource = globalThis.crypto;
  if (source.randomUUID !== undefined) return source.randomUUID();
  const bytes = source.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const hasImmediate = typeof setImmediate === 'function';

/** Runs it in a turn of the event loop of its own, after the microtasks of this one. */
export function soon(run: () => void): void {
  if (hasImmediate) setImmediate(run);
  else setTimeout(run, 0);
}

const encoder = new TextEncoder();
const hasBuffer = typeof Buffer === 'function';

/** Bytes of the text as UTF-8. */
export function byteLength(text: string): number {
  return hasBuffer ? Buffer.byteLength(text) : encoder.encode(text).byteLength;
}

/** Calls back once nothing was heard for so long. Hearing costs no timer: it is only looked at when it is over. */
export class SilenceTimer {
  readonly #silenceMs: number;
  readonly #onSilence: () => void;
  #heardAtMs = performance.now();
  #timer: ReturnType<typeof setTimeout>;

  constructor(silenceMs: number, onSilence: () => void) {
    this.#silenceMs = silenceMs;
    this.#onSilence = onSilence;
    this.#timer = setTimeout(() => this.#look(), silenceMs);
  }

  heard(): void {
    this.#heardAtMs = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    const leftMs = this.#heardAtMs + this.#silenceMs - performance.now();
    if (leftMs <= 0) this.#onSilence();
    else this.#timer = setTimeout(() => this.#look(), leftMs);
  }
}
