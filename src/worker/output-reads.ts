import type { AttemptRef, MasterToWorker, WorkerToMaster } from '../link/protocol.ts';
import type { Attempts } from './attempts.ts';
import type { Executor, OutputChunk } from './executor.ts';

export const OUTPUT_READS = {
  /** Questions that wait at the same time. */
  openMax: 1_000,
  /** Bytes of one answer. */
  bytesMax: 256 * 1024,
  /** An attempt whose begin record is being written has no output yet; looked at again after this time. */
  notBegunWaitMs: 100,
} as const;

type Question = Extract<MasterToWorker, { kind: 'readOutput' | 'readFile' }>;

/** Answers the master's questions for output and kept files, each when there is something to say. */
export class OutputReads {
  readonly #node: string;
  readonly #executor: Executor;
  #open = 0;

  constructor(node: string, executor: Executor) {
    this.#node = node;
    this.#executor = executor;
  }

  answer(question: Question, attempts: Attempts | null, send: (answer: WorkerToMaster) => void): void {
    const { request } = question;
    const refuse = (message: string): void => send({ kind: 'outputError', request, message });
    if (this.#open >= OUTPUT_READS.openMax) {
      refuse(`${OUTPUT_READS.openMax} reads of output are under way on ${this.#node}`);
      return;
    }
    this.#open += 1;
    this.#read(question, attempts)
      .then(
        ({ data, nextOffset, end }) => {
          const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
          send({ kind: 'output', request, data: bytes.toString('base64'), nextOffset, end });
        },
        (error: unknown) => refuse(error instanceof Error ? error.message : String(error)),
      )
      .finally(() => (this.#open -= 1));
  }

  async #read(question: Question, attempts: Attempts | null): Promise<OutputChunk> {
    const ref: AttemptRef = { task: question.task, token: question.token };
    if (question.kind === 'readFile') {
      const { path, offset } = question;
      const maxBytes = Math.min(question.maxBytes, OUTPUT_READS.bytesMax);
      return this.#executor.readFile(ref, { path, offset, maxBytes });
    }
    if (attempts?.isBeginning(ref) === true) {
      await new Promise((resolve) => setTimeout(resolve, OUTPUT_READS.notBegunWaitMs));
    }
    return this.#executor.readOutput(ref, {
      stream: question.stream,
      offset: question.offset,
      maxBytes: Math.min(question.maxBytes, OUTPUT_READS.bytesMax),
      waitMs: question.waitMs,
    });
  }
}
