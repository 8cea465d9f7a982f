/**
 * Finds the master among the configured servers and keeps looking until it is found.
 *
 * Any server may be asked. One that is not the master names the one it believes in, by id; ids are matched to the
 * known addresses by where they answered before, and only known addresses are ever dialed: those given, and those that
 * a master has named since (servers come and go; what they call their addresses may mean nothing from here, so the given ones
 * stay). Servers are asked one after another, but a silent one holds up the next only
 * for FINDER.staggerMs: a machine that is gone does not refuse connections, it says nothing.
 */
import type { Dial } from '../net/connection-cut.ts';
import { dialUpgrade } from '../net/upgrade.ts';
import { workerLink } from '../link/socket-connection.ts';
import { LINK_PROTOCOL } from '../link/protocol.ts';
import type { LinkConnection, MasterToWorker, WorkerToMaster } from '../link/protocol.ts';

export const FINDER = {
  /** Pause after a round in which nobody was the master; doubles up to the maximum. */
  backoffMinMs: 50,
  backoffMaxMs: 500,
  /** Pause after a round in which somebody refused this node: that needs a person. */
  refusedMs: 3_000,
  /** A server that has not answered for this long no longer holds up the next one. */
  staggerMs: 300,
  /** Connect, upgrade and first message, each. */
  answerMs: 1_500,
} as const;

export type MasterLink = LinkConnection<WorkerToMaster, MasterToWorker>;
export type Welcome = Extract<MasterToWorker, { kind: 'welcome' }>;
type Hello = Extract<WorkerToMaster, { kind: 'hello' }>;

/** Opens a link to host:port. */
export type DialLink = (address: string, signal: AbortSignal) => Promise<MasterLink>;

export interface MasterFinderOptions {
  /** host:port of every server. */
  readonly servers: readonly string[];
  readonly dial: DialLink;
  /** Asked anew for every server. */
  readonly hello: () => Hello;
  /** Called inside the handler of the welcome: takes the link over by setting its handlers. */
  readonly onWelcome: (link: MasterLink, address: string, welcome: Welcome) => void;
  readonly warn: (message: string) => void;
}

type Answer =
  | { readonly kind: 'found' }
  | { readonly kind: 'redirected'; readonly to: string | null }
  | { readonly kind: 'refused' }
  | { readonly kind: 'nothing' };

export class MasterFinder {
  readonly #options: MasterFinderOptions;
  /** Where a server of that id answered. */
  readonly #addressOf = new Map<string, string>();
  /** Asked first. */
  #lastMaster: string | null = null;
  #search: AbortController | null = null;
  /** Of servers that the master has named, without those given. */
  #learned: readonly string[] = [];
  /** So that a lasting fault gives one line, not twenty a second. */
  #lastWarning = '';

  constructor(options: MasterFinderOptions) {
    this.#options = options;
  }

  /** Looks for the master until it is found (onWelcome) or stop() is called. Does nothing if a search is under way. */
  start(): void {
    if (this.#search !== null) return;
    const search = new AbortController();
    this.#search = search;
    void this.#run(search);
  }

  /** The servers there are now, by the master's word. */
  learn(servers: readonly string[]): void {
    this.#learned = servers.filter((server) => !this.#options.servers.includes(server));
  }

  get #servers(): readonly string[] {
    return [...this.#options.servers, ...this.#learned];
  }

  stop(): void {
    this.#search?.abort();
    this.#search = null;
  }

  async #run(search: AbortController): Promise<void> {
    let backoffMs: number = FINDER.backoffMinMs;
    while (!aborted(search)) {
      const answer = await this.#round(search);
      if (answer === 'found' || aborted(search)) break;
      await pause(answer === 'refused' ? FINDER.refusedMs : backoffMs, search.signal);
      backoffMs = Math.min(FINDER.backoffMaxMs, backoffMs * 2);
    }
    search.abort(); // ends the questions that are still open
    if (this.#search === search) this.#search = null;
  }

  /** Asks every server once, those first that are likely. */
  async #round(search: AbortController): Promise<'found' | 'refused' | 'nothing'> {
    const toAsk = this.#order();
    const asked = new Set<string>();
    const open = new Set<Promise<Answer>>();
    const seen = { refused: false };
    for (;;) {
      const next = toAsk.shift();
      if (next !== undefined) {
        if (asked.has(next)) continue;
        asked.add(next);
        const question = this.#ask(next, search).then((answer) => {
          open.delete(question);
          if (answer.kind === 'redirected' && answer.to !== null) toAsk.unshift(answer.to);
          if (answer.kind === 'refused') seen.refused = true;
          return answer;
        });
        open.add(question);
      }
      if (open.size === 0) return seen.refused ? 'refused' : 'nothing';
      const stagger = new AbortController();
      const waiting: Promise<Answer | null>[] = [...open];
      if (toAsk.length > 0) waiting.push(pause(FINDER.staggerMs, stagger.signal).then(() => null));
      const answer = await Promise.race(waiting);
      stagger.abort();
      if (answer?.kind === 'found') return 'found';
      if (aborted(search)) return 'nothing';
    }
  }

  #order(): string[] {
    const servers = this.#servers;
    // A random start spreads a thousand workers that lost their master at the same moment.
    const first = Math.floor(Math.random() * servers.length);
    const order = [...servers.slice(first), ...servers.slice(0, first)];
    if (this.#lastMaster === null) return order;
    return [this.#lastMaster, ...order];
  }

  async #ask(address: string, search: AbortController): Promise<Answer> {
    let link: MasterLink;
    try {
      link = await this.#options.dial(address, search.signal);
    } catch (error) {
      if (!search.signal.aborted) this.#warnOnce(`${address}: ${describe(error)}`);
      return { kind: 'nothing' };
    }
    return new Promise((resolve) => {
      const release = (): void => {
        clearTimeout(timer);
        search.signal.removeEventListener('abort', giveUp);
      };
      const giveUp = (): void => {
        release();
        link.close();
        resolve({ kind: 'nothing' });
      };
      const timer = setTimeout(giveUp, FINDER.answerMs);
      search.signal.addEventListener('abort', giveUp);
      link.onClose = giveUp;
      link.onMessage = (message) => {
        // Before the message is judged: a welcome aborts the search, and that must not close this very link.
        release();
        const answer: Answer = search.signal.aborted
          ? { kind: 'nothing' }
          : this.#judge(link, address, message, search);
        if (answer.kind !== 'found') link.close();
        resolve(answer);
      };
      if (search.signal.aborted) giveUp();
      else link.send(this.#options.hello());
    });
  }

  #judge(link: MasterLink, address: string, message: MasterToWorker, search: AbortController): Answer {
    switch (message.kind) {
      case 'welcome':
        this.#addressOf.set(message.leader, address);
        // Over before the owner hears of it, because it may have to start the next search at once.
        search.abort();
        if (this.#search === search) this.#search = null;
        this.#lastMaster = address;
        this.#lastWarning = '';
        this.#options.onWelcome(link, address, message);
        return { kind: 'found' };
      case 'redirect': {
        this.#addressOf.set(message.self, address);
        const known = message.leader === null ? undefined : this.#addressOf.get(message.leader);
        const named = this.#servers.find((server) => server === message.leaderAddress);
        return { kind: 'redirected', to: known ?? named ?? null };
      }
      case 'refuse':
        this.#addressOf.set(message.self, address);
        this.#warnOnce(`${message.self} (${address}) refuses this node: ${message.reason}`);
        return { kind: 'refused' };
      case 'heartbeatAck':
      case 'run':
      case 'kill':
      case 'recorded':
      case 'readOutput':
      case 'readFile':
      case 'considered':
        this.#warnOnce(`${address} answered with ${message.kind} where a welcome was due`);
        return { kind: 'nothing' };
    }
  }

  #warnOnce(message: string): void {
    if (message === this.#lastWarning) return;
    this.#lastWarning = message;
    this.#options.warn(message);
  }
}

/** Dials over the network (HTTP Upgrade). `headers`: what nodes of this cluster send each other. */
export function networkDial(headers: Readonly<Record<string, string>>, dial: Dial = dialUpgrade): DialLink {
  return async (address, signal) => {
    const { host, port } = hostAndPort(address);
    const socket = await dial({
      host,
      port,
      protocol: LINK_PROTOCOL,
      headers,
      timeoutMs: FINDER.answerMs,
      signal,
    });
    return workerLink(socket);
  };
}

/** Splits host:port; IPv6 hosts stand in brackets. */
export function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  if (colon <= 0 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`${JSON.stringify(address)} is not HOST:PORT`);
  }
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** A call, because it changes while one waits. */
function aborted(search: AbortController): boolean {
  return search.signal.aborted;
}

/** Resolves after the time, or at once when aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
