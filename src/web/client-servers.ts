/** What the client node knows of the servers it was given: who is who, who leads, who answers. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Exchange, Upstream } from './upstream.ts';

const LOOK_MS = 1_000;
const LOOK_ANSWER_MS_MAX = 1_000;
/** Looks in a row without an answer after which a server is taken for gone, also by exchanges under way with it. */
const MISSES_MAX = 2;

/** `unknown` until the first look; `stopped`: simulates a crash; `down`: does not answer. */
export type ServerState = 'unknown' | 'up' | 'stopped' | 'down';

interface Server {
  readonly address: string;
  id: string | null;
  state: ServerState;
  misses: number;
}

export interface ClientServersOptions {
  /** host:port each. */
  readonly addresses: readonly string[];
  readonly token: string | null;
  readonly upstream: Upstream;
}

/** Looks at each server once a second, and learns from every answer besides. */
export class ClientServers {
  readonly #options: ClientServersOptions;
  readonly #servers: readonly Server[];
  readonly #downListeners = new Map<string, Set<() => void>>();
  readonly #abort = new AbortController();
  #leader: string | null = null;
  #index = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ClientServersOptions) {
    this.#options = options;
    this.#servers = options.addresses.map((address) => ({ address, id: null, state: 'unknown', misses: 0 }));
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    this.#look();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#abort.abort();
  }

  /** Id of the master, as last heard. */
  get leader(): string | null {
    return this.#leader;
  }

  /** The highest log index heard of. */
  get index(): number {
    return this.#index;
  }

  get ready(): boolean {
    return this.#leader !== null && this.#servers.some(({ state }) => state === 'up');
  }

  /** Whom to ask first, second, …: the master, those that are up, those nothing is known of, the rest. */
  order(): readonly string[] {
    const rank = (server: Server): number => {
      if (server.state === 'up') return server.id !== null && server.id === this.#leader ? 0 : 1;
      return { unknown: 2, stopped: 3, down: 4 }[server.state];
    };
    return [...this.#servers].sort((a, b) => rank(a) - rank(b)).map(({ address }) => address);
  }

  /** Address of the server with this id; null if it is none of those given, or has not been heard of yet. */
  addressOf(id: string): string | null {
    return this.#servers.find((server) => server.id === id)?.address ?? null;
  }

  headers(): Readonly<Record<string, string>> {
    const { token } = this.#options;
    return token === null ? {} : { authorization: `Bearer ${token}` };
  }

  /** Calls back once when the server is taken for gone; the function returned ends that. */
  onDown(address: string, onDown: () => void): () => void {
    const listeners = this.#downListeners.get(address) ?? new Set();
    this.#downListeners.set(address, listeners);
    listeners.add(onDown);
    return () => listeners.delete(onDown);
  }

  /** To be told what became of every exchange with a server. */
  learn(address: string, exchange: Exchange): void {
    const server = this.#servers.find((candidate) => candidate.address === address);
    if (server === undefined) return;
    switch (exchange.kind) {
      case 'answer':
        this.#heard(server, exchange.response.headers, false);
        return;
      case 'error':
        this.#heard(server, exchange.headers, exchange.code === 'STOPPED');
        return;
      case 'not-sent':
        this.#gone(server);
        return;
      case 'broken':
        server.misses += 1;
        if (server.misses >= MISSES_MAX) this.#gone(server);
        return;
    }
  }

  #heard(server: Server, headers: IncomingHttpHeaders, stopped: boolean): void {
    server.misses = 0;
    server.state = stopped ? 'stopped' : 'up';
    const id = headers['x-clb-node'];
    if (typeof id === 'string' && id !== '') server.id = id;
    const leader = headers['x-clb-leader'];
    if (typeof leader === 'string' && leader !== '') this.#leader = leader;
    const index = Number(headers['x-clb-index']);
    if (Number.isSafeInteger(index)) this.#index = Math.max(this.#index, index);
  }

  #gone(server: Server): void {
    server.state = 'down';
    const listeners = this.#downListeners.get(server.address);
    if (listeners === undefined) return;
    this.#downListeners.delete(server.address);
    for (const onDown of listeners) onDown();
  }

  #look(): void {
    for (const server of this.#servers) void this.#lookAt(server);
  }

  async #lookAt(server: Server): Promise<void> {
    const exchange = await this.#options.upstream.exchange({
      address: server.address,
      method: 'GET',
      path: '/healthz',
      headers: this.headers(),
      body: null,
      answerMsMax: LOOK_ANSWER_MS_MAX,
      signal: this.#abort.signal,
    });
    if (this.#abort.signal.aborted) return;
    if (exchange.kind !== 'answer') {
      this.learn(server.address, exchange);
      return;
    }
    const stopped = await saysStopped(exchange.response);
    this.#heard(server, exchange.response.headers, stopped);
  }
}

async function saysStopped(response: AsyncIterable<Buffer>): Promise<boolean> {
  try {
    let text = '';
    for await (const chunk of response) {
      text += chunk.toString('utf8');
      if (text.length > 4_096) break;
    }
    return (JSON.parse(text) as { readonly stopped?: unknown }).stopped === true;
  } catch {
    return false;
  }
}
