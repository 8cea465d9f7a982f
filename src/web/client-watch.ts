/** Writes `Received result: ID` when a task that was sent through this client node ends. */
import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import type { EventSourceMessage } from 'eventsource-parser';
import { LINES } from '../api/log.ts';
import type { WriteLine } from '../api/log.ts';
import { isFinal } from '../api/tasks.ts';
import type { TaskView } from '../api/tasks.ts';
import type { EventMessage } from '../api/views.ts';
import type { WebLog } from './answers.ts';
import type { ClientCalls } from './client-calls.ts';
import type { SentTasks } from './client-store.ts';
import { SSE_HEARTBEAT_MS } from './sse.ts';
import { wholeBody } from './upstream.ts';

const SILENCE_MS_MAX = 3 * SSE_HEARTBEAT_MS;
const REOPEN_PAUSE_MS = 200;
const CHECK_RETRY_MS = 1_000;
const CHECKS_AT_ONCE = 4;
/** A result may come before the answer to the submit has told the id. */
const RECENT_MAX = 20_000;
const EVENT_CHARS_MAX = 64 * 1024 * 1024;
const TASK_BYTES_MAX = 8 * 1024 * 1024;

export interface ClientWatchOptions {
  readonly calls: ClientCalls;
  readonly sent: SentTasks;
  readonly writeLine: WriteLine;
  readonly log: WebLog;
}

/**
 * Follows /v1/events of one server after the other. Whenever events may have been missed (at the start, after a reset)
 * every open task is looked up, after the stream is open: so nothing falls between.
 */
export class ClientWatch {
  readonly #options: ClientWatchOptions;
  readonly #abort = new AbortController();
  /** Index of the last entry heard of; null: nothing can be resumed. */
  #lastIndex: number | null = null;
  /** Ids of tasks that ended lately, sent through here or not; the oldest first. */
  readonly #recent = new Set<string>();
  #unchecked: string[] = [];
  #checking = false;
  #running: Promise<void> | null = null;

  constructor(options: ClientWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** To be called when these were sent and their lines written: a result may be here already. */
  settle(ids: readonly string[]): void {
    this.#ended(ids.filter((id) => this.#recent.has(id)));
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        await this.#follow();
      } catch {
        // Whatever broke it: another server is asked in a moment, and if there is none, again and again.
      }
      await delay(REOPEN_PAUSE_MS, undefined, { signal: this.#abort.signal }).catch(() => undefined);
    }
  }

  async #follow(): Promise<void> {
    const silence = new AbortController();
    const { answer } = await this.#options.calls.send({
      method: 'GET',
      path: () => '/v1/events',
      headers: {
        accept: 'text/event-stream',
        ...(this.#lastIndex === null ? {} : { 'last-event-id': String(this.#lastIndex) }),
      },
      body: null,
      repeatable: true,
      server: null,
      signal: AbortSignal.any([this.#abort.signal, silence.signal]),
    });
    if (answer.kind !== 'answer' || answer.response.statusCode !== 200) {
      if (answer.kind === 'answer') answer.response.destroy();
      return;
    }
    if (this.#lastIndex === null) {
      const index = Number(answer.response.headers['x-clb-index']);
      if (Number.isSafeInteger(index)) this.#lastIndex = index;
      this.#checkAll();
    }
    const parser = createParser({ maxBufferSize: EVENT_CHARS_MAX, onEvent: (event) => this.#onEvent(event) });
    const timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
    try {
      const decoder = new TextDecoder();
      for await (const chunk of answer.response as AsyncIterable<Buffer>) {
        timer.refresh();
        parser.feed(decoder.decode(chunk, { stream: true }));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #onEvent(event: EventSourceMessage): void {
    if (event.event === 'reset') {
      this.#lastIndex = Number(event.id);
      this.#checkAll();
      return;
    }
    const message = JSON.parse(event.data) as EventMessage;
    this.#lastIndex = message.index;
    const ended: string[] = [];
    for (const happened of message.events) {
      if (happened.kind !== 'task' || !isFinal(happened.status)) continue;
      ended.push(happened.id);
      this.#recent.add(happened.id);
    }
    for (const oldest of this.#recent) {
      if (this.#recent.size <= RECENT_MAX) break;
      this.#recent.delete(oldest);
    }
    this.#ended(ended);
  }

  /** The line first: should the process end in between, it comes twice rather than never. */
  #ended(ids: readonly string[]): void {
    const { sent, writeLine } = this.#options;
    const open = ids.filter((id) => sent.isOpen(id));
    if (open.length === 0) return;
    for (const id of open) writeLine(LINES.receivedResult(id));
    // A rejected write has been reported as fatal already.
    sent.finish(open).catch(() => undefined);
  }

  #checkAll(): void {
    this.#unchecked = [...this.#options.sent.openIds()];
    if (this.#checking || this.#unchecked.length === 0) return;
    this.#checking = true;
    void Promise.all(Array.from({ length: CHECKS_AT_ONCE }, () => this.#check())).then(
      () => (this.#checking = false),
    );
  }

  async #check(): Promise<void> {
    for (let id = this.#unchecked.shift(); id !== undefined; id = this.#unchecked.shift()) {
      if (this.#abort.signal.aborted || !this.#options.sent.isOpen(id)) continue;
      if (await this.#checkOne(id)) continue;
      this.#unchecked.push(id);
      await delay(CHECK_RETRY_MS, undefined, { signal: this.#abort.signal }).catch(() => undefined);
    }
  }

  /** false: it could not be found out now. */
  async #checkOne(id: string): Promise<boolean> {
    try {
      const { answer } = await this.#options.calls.send({
        method: 'GET',
        path: () => `/v1/tasks/${encodeURIComponent(id)}`,
        headers: { accept: 'application/json' },
        body: null,
        repeatable: true,
        server: null,
        signal: this.#abort.signal,
      });
      if (answer.kind === 'error') return false;
      const body = await wholeBody(answer.response, TASK_BYTES_MAX);
      const status = answer.response.statusCode ?? 0;
      // Removed by retention, or of another cluster: there is no result to wait for.
      if (status === 404) await this.#options.sent.finish([id]);
      else if (status !== 200) return false;
      else if (isFinal((JSON.parse(body.toString('utf8')) as TaskView).status)) this.#ended([id]);
      return true;
    } catch {
      return false;
    }
  }
}
