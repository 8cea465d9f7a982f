import type { ProposeResult, ReadBarrierResult } from '../../src/raft/consensus.ts';
import type { NodeId } from '../../src/raft/core/types.ts';
import type { EventQueue } from './event-queue.ts';
import type { History } from './history.ts';
import { encodeCommand, type ListResult } from './list-machine.ts';
import type { Random } from './random.ts';
import { check } from './sim-failure.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

/** After this a client asks again, elsewhere: the first answer is lost, or late. */
const PATIENCE_MS = 400;
const RETRY_MS = 15;

/** What a client can reach of the cluster. `false`: the node is down. */
export interface ClusterAccess {
  readonly nodes: readonly NodeId[];
  propose(node: NodeId, payload: Uint8Array, done: (result: ProposeResult<ListResult>) => void): boolean;
  read(node: NodeId, done: (result: ReadBarrierResult) => void): boolean;
  /** What the node's state machine has applied. */
  appliedIndex(node: NodeId): number;
}

export interface ListClientOptions {
  /** From 1 on. */
  readonly number: number;
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly access: ClusterAccess;
  readonly history: History;
  readonly trace: Trace;
}

/**
 * A client with one request at a time. A command is repeated, with its number, until it is known to be applied; a read
 * is given up when it fails.
 */
export class ListClient {
  readonly #options: ListClientOptions;
  #seq = 0;
  #target: NodeId;
  #isStopping = false;
  #isIdle = true;
  /** Distinguishes the attempts of one request, so that late answers to earlier ones are ignored. */
  #attempt = 0;
  #answered = 0;
  #tracedSeq = 0;

  constructor(options: ListClientOptions) {
    this.#options = options;
    this.#target = options.random.pick(options.access.nodes);
  }

  /** The newest command known to be applied. */
  get answeredSeq(): number {
    return this.#answered;
  }
  get isIdle(): boolean {
    return this.#isIdle;
  }
  get number(): number {
    return this.#options.number;
  }
  get name(): string {
    return `c${String(this.#options.number)}`;
  }

  /** Begins, also after {@link stop}. */
  start(): void {
    this.#isStopping = false;
    this.#thinkThenAsk();
  }

  #thinkThenAsk(): void {
    const { queue, random } = this.#options;
    queue.after(random.exponential(this.#options.weather().thinkMs), () => this.#next());
  }

  /** Finishes the request under way and begins no other. */
  stop(): void {
    this.#isStopping = true;
  }

  /** One more command, after {@link stop}. */
  once(): void {
    this.#attempt++;
    this.#isIdle = false;
    this.#seq++;
    this.#send();
  }

  #next(): void {
    if (this.#isStopping || !this.#isIdle) return;
    this.#isIdle = false;
    const { random, weather } = this.#options;
    if (random.chance(weather().readRate)) {
      this.#read();
      return;
    }
    this.#seq++;
    this.#send();
  }

  #done(): void {
    this.#attempt++;
    this.#isIdle = true;
    this.#thinkThenAsk();
  }

  #send(): void {
    const { number, access, queue, random, weather, trace } = this.#options;
    const attempt = ++this.#attempt;
    const payload = encodeCommand({ client: number, seq: this.#seq }, weather().payloadBytes);
    const isUp = access.propose(this.#target, payload, (result) => {
      if (attempt === this.#attempt) this.#proposed(result);
    });
    if (isUp && this.#tracedSeq !== this.#seq) {
      // Once per command: a cluster without a leader is asked again and again.
      this.#tracedSeq = this.#seq;
      trace.add(this.name, 'propose', `${String(this.#seq)} on ${this.#target}`);
    }
    const waitMs = isUp ? PATIENCE_MS * (0.5 + random.fraction()) : RETRY_MS;
    queue.after(waitMs, () => {
      if (attempt === this.#attempt) this.#sendElsewhere(null);
    });
  }

  #sendElsewhere(hint: NodeId | null): void {
    const { access, random } = this.#options;
    this.#target = hint !== null && random.chance(0.8) ? hint : random.pick(access.nodes);
    this.#send();
  }

  #proposed(result: ProposeResult<ListResult>): void {
    const { history, queue, trace } = this.#options;
    if (result.kind === 'applied') {
      const { index } = result.result;
      trace.add(this.name, 'answered', `${String(this.#seq)} at ${String(index)}`);
      check(index <= result.index, 'T2', () => `a command took effect at ${String(index)}, after its repeat`);
      history.answered(index);
      this.#answered = this.#seq;
      this.#done();
      return;
    }
    if (result.kind === 'unknown') trace.add(this.name, 'unknown', this.#seq);
    const attempt = ++this.#attempt;
    const hint =
      result.kind === 'notLeader' ? result.leader : result.kind === 'overloaded' ? this.#target : null;
    queue.after(RETRY_MS, () => {
      if (attempt === this.#attempt) this.#sendElsewhere(hint);
    });
  }

  #read(): void {
    const { access, random, history, queue, trace } = this.#options;
    const attempt = ++this.#attempt;
    const node = random.pick(access.nodes);
    const floor = history.answeredIndex;
    const isUp = access.read(node, (result) => {
      if (attempt !== this.#attempt) return;
      if (result.kind === 'ready') history.read(node, floor, access.appliedIndex(node));
      trace.add(this.name, 'read', `on ${node}: ${result.kind}`);
      this.#done();
    });
    if (!isUp) {
      this.#done();
      return;
    }
    queue.after(PATIENCE_MS, () => {
      if (attempt === this.#attempt) this.#done();
    });
  }
}
