import type { AttemptRef, LinkConnection, MasterToWorker, WorkerToMaster } from '../../link/protocol.ts';
import type { OutputStream } from '../../api/views.ts';

/** Reads of output that one node is asked for at the same time. */
const OUTPUT_READS_MAX = 256;

export type WorkerLink = LinkConnection<MasterToWorker, WorkerToMaster>;

/** What a node said of its output. */
export type OutputAnswer =
  | { readonly kind: 'output'; readonly data: Uint8Array; readonly nextOffset: number; readonly end: boolean }
  /** The node can't tell (any more): its link broke, or it has not got the output. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface FileQuestion extends AttemptRef {
  readonly path: string;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface OutputQuestion extends AttemptRef {
  readonly stream: OutputStream;
  readonly offset: number;
  readonly maxBytes: number;
  readonly waitMs: number;
}

/** One connection of a worker. Silent until its hello was answered with a welcome. */
export class WorkerSession {
  /** Of the hello; null before. */
  node: string | null = null;
  instance: string | null = null;
  welcomed = false;
  readonly #connection: WorkerLink;
  #toldServers = '';
  #open = true;
  #nextRequest = 1;
  #reads = new Map<number, (answer: OutputAnswer) => void>();

  constructor(connection: WorkerLink) {
    this.#connection = connection;
  }

  get open(): boolean {
    return this.#open;
  }

  /** The servers there are now, if the worker was not told of just these; from now on it counts as told. */
  serversToTell(servers: readonly string[]): readonly string[] | null {
    const text = servers.join();
    if (servers.length === 0 || text === this.#toldServers) return null;
    this.#toldServers = text;
    return servers;
  }

  send(message: MasterToWorker): void {
    if (this.#open) this.#connection.send(message);
  }

  /** Ends the connection; whoever reads output from it hears of it. */
  close(reason: string): void {
    if (!this.#open) return;
    this.closed(reason);
    this.#connection.close();
  }

  /** The connection is gone. */
  closed(reason: string): void {
    this.#open = false;
    const reads = this.#reads;
    this.#reads = new Map();
    for (const answer of reads.values()) answer({ kind: 'unavailable', reason });
  }

  /** Never rejects. An abort only ends the waiting. */
  readOutput(question: OutputQuestion, signal: AbortSignal): Promise<OutputAnswer> {
    return this.#ask((request) => ({ kind: 'readOutput', request, ...question }), signal);
  }

  /** The same for a collected file. */
  readFile(question: FileQuestion, signal: AbortSignal): Promise<OutputAnswer> {
    return this.#ask((request) => ({ kind: 'readFile', request, ...question }), signal);
  }

  #ask(question: (request: number) => MasterToWorker, signal: AbortSignal): Promise<OutputAnswer> {
    if (!this.#open) return Promise.resolve({ kind: 'unavailable', reason: 'the node is not connected' });
    if (this.#reads.size >= OUTPUT_READS_MAX) {
      return Promise.resolve({ kind: 'unavailable', reason: 'too many are reading output from this node' });
    }
    const request = this.#nextRequest++;
    return new Promise((resolve) => {
      const finish = (answer: OutputAnswer): void => {
        signal.removeEventListener('abort', abort);
        this.#reads.delete(request);
        resolve(answer);
      };
      const abort = (): void => finish({ kind: 'unavailable', reason: 'not wanted any more' });
      if (signal.aborted) {
        abort();
        return;
      }
      signal.addEventListener('abort', abort);
      this.#reads.set(request, finish);
      this.send(question(request));
    });
  }

  /** Takes an answer to {@link readOutput} or {@link readFile}. One that nobody waits for any more is ignored. */
  answered(message: Extract<WorkerToMaster, { kind: 'output' | 'outputError' }>): void {
    const waiting = this.#reads.get(message.request);
    if (waiting === undefined) return;
    if (message.kind === 'outputError') {
      waiting({ kind: 'unavailable', reason: message.message });
      return;
    }
    const data = Buffer.from(message.data, 'base64');
    waiting({ kind: 'output', data, nextOffset: message.nextOffset, end: message.end });
  }
}
