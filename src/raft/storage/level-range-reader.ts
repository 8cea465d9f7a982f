/**
 * Synchronous range reads. LevelDB's binding reads single keys synchronously but ranges only by promise, and the state
 * machine's `apply` cannot wait. So a helper thread, started at the first such read, shares the open database
 * handle, reads the range and hands it over while the calling thread waits for it: about 0.1 ms each.
 */
import { createRequire } from 'node:module';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { KvRange } from './kv-store.ts';

/** A range read that takes longer than this means that the helper is gone: the process cannot go on. */
const ANSWER_MS_MAX = 30_000;

/** The helper. CommonJS in a string, so that it runs the same from source and from the built package. */
const HELPER = `
const { workerData } = require('node:worker_threads');
const { Level } = require(workerData.levelModule);
const { port, signal } = workerData;
const flag = new Int32Array(signal);
const answer = (message) => {
  port.postMessage(message);
  Atomics.add(flag, 0, 1);
  Atomics.notify(flag, 0);
};
const db = new Level(workerData.folder, { keyEncoding: 'utf8', valueEncoding: 'view', multithreading: true });
let turn = db.open();
port.on('message', (request) => {
  turn = turn.then(async () => {
    if (request === null) {
      await db.close();
      answer({ records: [] });
      port.close();
      return;
    }
    const found = await db.iterator(request).all();
    answer({ records: found.map(([key, value]) => [key, new Uint8Array(value)]) });
  }).catch((error) => answer({ error: String(error) }));
});
`;

interface Answer {
  readonly records?: readonly (readonly [string, Uint8Array])[];
  readonly error?: string;
}

export class LevelRangeReader {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #flag: Int32Array;

  private constructor(folder: string) {
    const signal = new SharedArrayBuffer(4);
    this.#flag = new Int32Array(signal);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(HELPER, {
      eval: true,
      execArgv: [],
      workerData: {
        folder,
        signal,
        port: port2,
        levelModule: createRequire(import.meta.url).resolve('level'),
      },
      transferList: [port2],
    });
    this.#worker.unref();
    this.#port.unref();
  }

  /** `folder` must be open in this process with `multithreading`. Starts a thread. */
  static start(folder: string): LevelRangeReader {
    return new LevelRangeReader(folder);
  }

  read(range: KvRange & { readonly limit: number }): readonly (readonly [string, Uint8Array])[] {
    return this.#ask(range);
  }

  /** Closes the helper's share of the handle; must come before the database's own close. */
  async close(): Promise<void> {
    this.#ask(null);
    await this.#worker.terminate();
  }

  #ask(request: KvRange | null): readonly (readonly [string, Uint8Array])[] {
    const before = Atomics.load(this.#flag, 0);
    this.#port.postMessage(request);
    const verdict = Atomics.wait(this.#flag, 0, before, ANSWER_MS_MAX);
    const received = receiveMessageOnPort(this.#port);
    if (verdict === 'timed-out' || received === undefined)
      throw new Error('the range reader does not answer');
    const answer = received.message as Answer;
    if (answer.records === undefined)
      throw new Error(`range read failed: ${answer.error ?? 'no reason given'}`);
    return answer.records;
  }
}
