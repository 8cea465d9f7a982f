import type { Message, NodeId } from '../../src/raft/core/types.ts';
import type { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

/** The longest delay after which an old message is delivered once more. */
const REPLAY_MS_MAX = 5000;

export interface NetworkOptions {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly trace: Trace;
  readonly weather: () => Weather;
  readonly deliver: (message: Message) => void;
}

/** Drops, doubles, delays, reorders and replays messages; links can be cut one way or both. */
export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #cut = new Set<string>();
  readonly #lastArrivalMs = new Map<string, number>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  send(message: Message): void {
    const { random, trace } = this.#options;
    const weather = this.#options.weather();
    if (this.#isCut(message) || random.chance(weather.dropRate)) {
      trace.add(message.from, 'lost', message);
      return;
    }
    trace.add(message.from, 'send', message);
    this.#schedule(message, weather);
    if (random.chance(weather.duplicateRate)) this.#schedule(message, weather);
    if (random.chance(weather.replayRate)) {
      this.#options.queue.after(random.below(REPLAY_MS_MAX), () => this.#arrive(message));
    }
  }

  cutOneWay(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
  }
  cut(a: NodeId, b: NodeId): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }
  healAll(): void {
    this.#cut.clear();
  }

  #isCut(message: Message): boolean {
    return this.#cut.has(`${message.from}>${message.to}`);
  }

  #schedule(message: Message, weather: Weather): void {
    const { queue, random } = this.#options;
    let delayMs = random.heavyTailed(weather.delayMs * (0.5 + random.fraction()), weather.delayMaxMs);
    if (weather.fifo) {
      const link = `${message.from}>${message.to}`;
      const arrivalMs = Math.max(queue.nowMs + delayMs, this.#lastArrivalMs.get(link) ?? 0);
      this.#lastArrivalMs.set(link, arrivalMs);
      delayMs = arrivalMs - queue.nowMs;
    }
    queue.after(delayMs, () => this.#arrive(message));
  }

  #arrive(message: Message): void {
    // A link that was cut meanwhile swallows what is on it.
    if (this.#isCut(message)) return;
    this.#options.deliver(message);
  }
}
