import type { Message, NodeId } from '../../src/raft/core/types.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultCounts } from './faults.ts';
import type { Random } from './random.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

/** The longest delay after which an old message is delivered once more. */
const REPLAY_MS_MAX = 5000;
/** A message that takes so many times what is usual is counted as very late. */
const VERY_LATE_FACTOR = 8;

export interface NetworkOptions {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly trace: Trace;
  readonly faults: FaultCounts;
  readonly weather: () => Weather;
  readonly deliver: (message: Message) => void;
  /** Checks that garbled bytes of this message would be refused; null where there is no wire format. */
  readonly garble: ((message: Message) => void) | null;
}

/** One direction between two servers. */
interface Link {
  isCut: boolean;
  lastArrivalMs: number;
  /** What waits while the link is clogged; null: it is not. */
  clogged: Message[] | null;
}

/** Drops, doubles, delays, reorders, garbles and replays messages; links can be cut one way or both, or be clogged. */
export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #links = new Map<NodeId, Map<NodeId, Link>>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  send(message: Message): void {
    const { random, trace, faults, garble } = this.#options;
    const weather = this.#options.weather();
    const link = this.#link(message.from, message.to);
    if (link.isCut || random.chance(weather.dropRate)) {
      faults.struck('message lost');
      trace.add(message.from, 'lost', message);
      return;
    }
    if (garble !== null && random.chance(weather.garbleRate)) {
      faults.struck('frame corrupted');
      trace.add(message.from, 'garbled', message);
      garble(message);
      return;
    }
    trace.add(message.from, 'send', message);
    this.#schedule(link, message, weather);
    if (random.chance(weather.duplicateRate)) {
      faults.struck('message doubled');
      this.#schedule(link, message, weather);
    }
    if (random.chance(weather.replayRate)) {
      this.#options.queue.after(random.below(REPLAY_MS_MAX), () => {
        if (this.#arrive(link, message)) faults.struck('old message again');
      });
    }
  }

  cutOneWay(from: NodeId, to: NodeId): void {
    this.#link(from, to).isCut = true;
  }
  cut(a: NodeId, b: NodeId): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  /** What is sent from now on arrives, all at once, when the link is {@link unclog unclogged}. */
  clog(from: NodeId, to: NodeId): void {
    this.#link(from, to).clogged ??= [];
  }
  unclog(from: NodeId, to: NodeId): void {
    const link = this.#link(from, to);
    const waiting = link.clogged ?? [];
    link.clogged = null;
    for (const message of waiting) this.#arrive(link, message);
  }

  /** Unclogs, too, but what waits comes when the function that this returns is called, after what is sent until then. */
  setAside(from: NodeId, to: NodeId): () => void {
    const link = this.#link(from, to);
    const waiting = link.clogged ?? [];
    link.clogged = null;
    return () => {
      for (const message of waiting) this.#arrive(link, message);
    };
  }

  /** Links that are cut work again. */
  mend(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.isCut = false;
  }
  healAll(): void {
    this.mend();
    for (const [from, links] of this.#links) for (const to of links.keys()) this.unclog(from, to);
  }

  #link(from: NodeId, to: NodeId): Link {
    let links = this.#links.get(from);
    if (links === undefined) this.#links.set(from, (links = new Map<NodeId, Link>()));
    let link = links.get(to);
    if (link === undefined) links.set(to, (link = { isCut: false, lastArrivalMs: 0, clogged: null }));
    return link;
  }

  #schedule(link: Link, message: Message, weather: Weather): void {
    const { queue, random, faults } = this.#options;
    const usualMs = weather.delayMs * (0.5 + random.fraction());
    let delayMs = random.heavyTailed(usualMs, weather.delayMaxMs);
    if (delayMs > usualMs * VERY_LATE_FACTOR) faults.struck('message very late');
    const arrivalMs = queue.nowMs + delayMs;
    if (arrivalMs >= link.lastArrivalMs) link.lastArrivalMs = arrivalMs;
    else if (weather.fifo) delayMs = link.lastArrivalMs - queue.nowMs;
    else faults.struck('message overtaken');
    queue.after(delayMs, () => this.#arrive(link, message));
  }

  /** @returns whether it got through */
  #arrive(link: Link, message: Message): boolean {
    // A link that was cut meanwhile swallows what is on it.
    if (link.isCut) {
      this.#options.faults.struck('message lost');
      return false;
    }
    if (link.clogged === null) this.#options.deliver(message);
    else link.clogged.push(message);
    return true;
  }
}
