/**
 * A server made of the pure core and the smallest driver that keeps its contract (src/raft/core/types.ts). The driver
 * is written for the simulation: every effect is a point where the process can die, and each write a point where it is
 * not done, done, or done and heard of.
 */
import { asLogIndex, asProposalId, asReadId } from '../../src/raft/core/ids.ts';
import { RaftCore } from '../../src/raft/core/raft-core.ts';
import type {
  Configuration,
  Effect,
  Entry,
  Input,
  LogIndex,
  Message,
  NodeId,
  RaftStatus,
} from '../../src/raft/core/types.ts';
import type { ProposeResult, ReadBarrierResult } from '../../src/raft/consensus.ts';
import { Ticker } from '../../src/raft/node/ticker.ts';
import type { LogDisk } from './durable-state.ts';
import type { History } from './history.ts';
import type { Surroundings } from './host.ts';
import type { ListHost } from './list-traffic.ts';
import { ListMachine, type ListResult } from './list-machine.ts';
import { SnapshotInbox, SnapshotOutbox } from './snapshot-traffic.ts';
import { check } from './sim-failure.ts';
import { WriteQueue } from './write-queue.ts';
import { entryBytes } from '../../src/raft/core/entry-size.ts';

/** As in production (raft-settings.ts). */
const STALL_TICKS = 2;
const TELLS_PER_TICK = 5;

export interface CoreHostOptions {
  readonly id: NodeId;
  readonly life: number;
  readonly disk: LogDisk;
  readonly history: History;
  readonly around: Surroundings;
}

interface Waiter {
  readonly id: number;
  readonly term: number;
  readonly done: (result: ProposeResult<ListResult>) => void;
}

export class CoreHost implements ListHost {
  readonly machine = new ListMachine();
  readonly #options: CoreHostOptions;
  readonly #core: RaftCore;
  readonly #writes: WriteQueue;
  readonly #ticker: Ticker;
  readonly #outbox: SnapshotOutbox;
  readonly #inbox = new SnapshotInbox();
  readonly #inputs: Input[] = [];
  #isStepping = false;
  #isDead = false;
  /** The commit index when followers were last told. */
  #toldCommit = 0;
  #tellsCommit = false;
  #appliedIndex: number;
  #applyQueue: Entry[] = [];
  #isApplying = false;
  /** A received snapshot is being put in force: nothing is applied meanwhile. */
  #isInstalling = false;
  #isTakingSnapshot = false;
  #unreportedBytes = 0;
  #nextId = 1;
  readonly #proposed = new Map<number, (result: ProposeResult<ListResult>) => void>();
  readonly #appended = new Map<number, Waiter>();
  readonly #reads = new Map<number, (result: ReadBarrierResult) => void>();
  #readsUnapplied: { readonly index: LogIndex; readonly done: (result: ReadBarrierResult) => void }[] = [];

  constructor(options: CoreHostOptions) {
    this.#options = options;
    const { id, disk, around } = options;
    const { hardState, snapshot, entries } = disk;
    const config = { id, ...around.weather().limits };
    this.#core = new RaftCore(config, { hardState, snapshot: snapshot.meta, entries }, around.random.below);
    this.machine.load(snapshot.data);
    this.#appliedIndex = snapshot.meta.index;
    this.#writes = new WriteQueue(disk, around, (input) => this.#written(input));
    this.#ticker = this.#makeTicker();
    this.#outbox = new SnapshotOutbox(id, around, (input) => this.#input(input));
    options.history.installed(id, options.life, snapshot.meta.index, this.machine.digest);
    this.#ticker.start();
  }

  status(): RaftStatus {
    return this.#core.status();
  }
  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#core.entries(from, to);
  }
  appliedIndex(): number {
    return this.#appliedIndex;
  }

  digest(): number {
    return this.machine.digest;
  }
  lastSeq(client: number): number {
    return this.machine.lastSeq(client);
  }

  receive(message: Message): void {
    this.#input({ kind: 'message', message });
  }

  propose(payload: Uint8Array, done: (result: ProposeResult<ListResult>) => void): void {
    const id = this.#nextId++;
    this.#proposed.set(id, done);
    this.#input({ kind: 'propose', proposals: [{ id: asProposalId(id), payload }] });
  }

  proposeConfig(config: Configuration): void {
    this.#input({ kind: 'proposeConfig', id: asProposalId(this.#nextId++), config });
  }

  read(done: (result: ReadBarrierResult) => void): void {
    const id = this.#nextId++;
    this.#reads.set(id, done);
    this.#input({ kind: 'readIndex', readId: asReadId(id) });
  }

  transferLeadership(to: NodeId): void {
    this.#input({ kind: 'transferLeadership', to });
  }

  kill(): void {
    this.#isDead = true;
    this.#ticker.stop();
    this.#writes.kill();
  }

  #makeTicker(): Ticker {
    const { around } = this.#options;
    const { nowMs, after } = around;
    return new Ticker({
      timers: { nowMs, after, soon: (action) => void after(0, action) },
      tickMs: around.weather().tickMs,
      stallTicks: STALL_TICKS,
      ticksUntilDue: () => this.#core.ticksUntilDue(),
      onTick: () => this.#step({ kind: 'tick' }),
    });
  }

  #input(input: Input): void {
    if (!this.#isStepping) this.#ticker.catchUp();
    this.#step(input);
    if (this.#isStepping || this.#isDead) return;
    this.#ticker.reconsider();
    this.#tellCommitSoon();
  }

  #tellCommitSoon(): void {
    const { role, commitIndex } = this.#core;
    if (role !== 'leader' || commitIndex === this.#toldCommit || this.#tellsCommit) return;
    this.#tellsCommit = true;
    const { around } = this.#options;
    around.after(around.weather().tickMs / TELLS_PER_TICK, () => {
      this.#tellsCommit = false;
      this.#toldCommit = this.#core.commitIndex;
      this.#input({ kind: 'tellCommit' });
    });
  }

  /** Effects may lead to inputs at once; those wait, so that effects keep their order. */
  #step(input: Input): void {
    if (this.#isDead) return;
    this.#inputs.push(input);
    if (this.#isStepping) return;
    const { around } = this.#options;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        const effects = this.#core.step(next);
        around.observe();
        if (around.diesNow()) return;
        for (const effect of effects) {
          this.#perform(effect);
          if (around.diesNow()) return;
        }
      }
    } catch (error) {
      around.fail(error);
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        this.#writes.persist(effect);
        break;
      case 'send':
        this.#options.around.send(effect.message);
        break;
      case 'apply':
        this.#applyLater(effect.entries);
        break;
      case 'sendSnapshot':
        this.#outbox.start(effect.to, effect.term, this.#options.disk.snapshot);
        break;
      case 'receiveSnapshotChunk':
        this.#receiveChunk(effect.message);
        break;
      case 'snapshotAcked':
        this.#outbox.acked(effect.message);
        break;
      case 'proposalOutcome':
        this.#outcome(effect);
        break;
      case 'proposalsUnknown':
        this.#unknown(effect.ids);
        break;
      case 'readReady':
        this.#readReady(effect.readId, effect.index);
        break;
      case 'readFailed':
        this.#reads.get(effect.readId)?.({ kind: 'notLeader', leader: effect.leader });
        this.#reads.delete(effect.readId);
        break;
      case 'roleChanged':
        this.#options.around.trace(
          'role',
          `${effect.role} in ${effect.term}, leader ${String(effect.leader)}`,
        );
        if (effect.role !== 'leader') this.#outbox.cancelAll();
        break;
    }
  }

  #applyLater(entries: readonly Entry[]): void {
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#unreportedBytes += bytes;
    const { unappliedBytesMax } = this.#options.around.weather().limits;
    const isBounded = this.#unreportedBytes <= unappliedBytesMax || entries.length === 1;
    check(isBounded, 'I16', () => `${String(this.#unreportedBytes)} bytes handed out and not applied`);
    this.#applyQueue.push(...entries);
    this.#applyNext();
  }

  #applyNext(): void {
    if (this.#isApplying || this.#isInstalling || this.#applyQueue.length === 0) return;
    this.#isApplying = true;
    const { around } = this.#options;
    const { applyMs } = around.weather();
    around.after(applyMs === 0 ? 0 : around.random.exponential(applyMs), () => {
      this.#isApplying = false;
      if (this.#isInstalling) return;
      const count = around.random.between(1, this.#applyQueue.length);
      const entries = this.#applyQueue.splice(0, count);
      for (const entry of entries) this.#apply(entry);
      const last = entries.at(-1);
      if (last !== undefined) this.#input({ kind: 'applied', index: last.index });
      if (this.#isDead) return;
      this.#readsApplied();
      this.#takeSnapshotIfDue();
      this.#applyNext();
    });
  }

  #apply(entry: Entry): void {
    const { id, life, history } = this.#options;
    let result: ListResult | null = null;
    if (entry.kind === 'command') result = this.machine.apply(entry);
    else if (entry.kind === 'noop') this.machine.applyTermStart(entry.term, entry.index);
    this.#appliedIndex = entry.index;
    this.#unreportedBytes -= entryBytes(entry);
    history.applied(id, life, entry, this.machine.digest);
    const waiter = this.#appended.get(entry.index);
    if (waiter === undefined) return;
    this.#appended.delete(entry.index);
    if (waiter.term !== entry.term || result === null)
      waiter.done({ kind: 'unknown', reason: 'another entry' });
    else waiter.done({ kind: 'applied', index: entry.index, term: entry.term, result });
  }

  #outcome({ id, outcome }: Extract<Effect, { kind: 'proposalOutcome' }>): void {
    const done = this.#proposed.get(id);
    if (done === undefined) return;
    this.#proposed.delete(id);
    if (outcome.kind === 'appended') this.#appended.set(outcome.index, { id, term: outcome.term, done });
    else done(outcome);
  }

  #unknown(ids: readonly number[]): void {
    for (const [index, waiter] of this.#appended) {
      if (!ids.includes(waiter.id)) continue;
      this.#appended.delete(index);
      waiter.done({ kind: 'unknown', reason: 'the lead was lost' });
    }
  }

  #readReady(readId: number, index: LogIndex): void {
    const done = this.#reads.get(readId);
    this.#reads.delete(readId);
    if (done !== undefined) this.#readsUnapplied.push({ index, done });
    this.#readsApplied();
  }

  #readsApplied(): void {
    const waiting = this.#readsUnapplied;
    if (waiting.length === 0) return;
    this.#readsUnapplied = waiting.filter(({ index }) => index > this.#appliedIndex);
    for (const { index, done } of waiting) if (index <= this.#appliedIndex) done({ kind: 'ready', index });
  }

  #takeSnapshotIfDue(): void {
    const { around, disk } = this.#options;
    const { snapshotEvery } = around.weather();
    if (snapshotEvery !== 0 && this.#appliedIndex - disk.snapshot.meta.index >= snapshotEvery)
      this.takeSnapshot();
  }

  takeSnapshot(): void {
    const { around, disk } = this.#options;
    const { trailingEntries } = around.weather();
    if (this.#isTakingSnapshot || this.#isInstalling) return;
    const index = asLogIndex(this.#appliedIndex);
    if (index <= disk.snapshot.meta.index) return;
    const entry = this.#core.entries(index, index)[0];
    const config = this.#core.configAt(index);
    // One that joins learns of the members by an entry: before it, it can't say who they were.
    if (entry === undefined || config.voters.length === 0) return;
    this.#isTakingSnapshot = true;
    const meta = { index, term: entry.term, config };
    const snapshot = { meta, data: this.machine.freeze() };
    const compactThrough = asLogIndex(Math.max(0, index - trailingEntries));
    around.trace('snapshot', `${index}@${entry.term}`);
    this.#writes.takeSnapshot(snapshot, compactThrough);
  }

  #receiveChunk(message: Extract<Message, { kind: 'snapshotChunk' }>): void {
    const { id, around } = this.#options;
    if (this.#isInstalling) return;
    const { nextChunk, complete } = this.#inbox.receive(message);
    const { term } = this.#core.status();
    const index = message.meta.index;
    around.send({
      kind: 'snapshotAck',
      from: id,
      to: message.from,
      term,
      index,
      nextChunk,
      installed: false,
    });
    if (complete === null || this.#appliedIndex >= index) return;
    around.trace('install', `${index}@${message.meta.term}`);
    this.#isInstalling = true;
    this.#writes.install(complete);
  }

  /** A write is heard to be durable. */
  #written(
    input: Extract<Input, { kind: 'persisted' | 'snapshotTaken' | 'snapshotInstalled' }> | null,
  ): void {
    if (input === null || input.kind === 'snapshotTaken') this.#isTakingSnapshot = false;
    if (input === null) return;
    if (input.kind !== 'snapshotInstalled') {
      this.#input(input);
      return;
    }
    const { id, life, disk, history } = this.#options;
    const { index } = input.meta;
    this.machine.load(disk.snapshot.data);
    this.#appliedIndex = index;
    // Until the core knows, it may hand out entries that the snapshot stands for.
    this.#input(input);
    this.#applyQueue = this.#applyQueue.filter((entry) => entry.index > index);
    this.#unreportedBytes = this.#applyQueue.reduce((sum, entry) => sum + entryBytes(entry), 0);
    for (const [place, waiter] of this.#appended) {
      if (place > index) continue;
      this.#appended.delete(place);
      waiter.done({ kind: 'unknown', reason: 'covered by a snapshot' });
    }
    this.#isInstalling = false;
    if (this.#isDead) return;
    history.installed(id, life, index, this.machine.digest);
    this.#readsApplied();
    this.#applyNext();
  }
}
