/** One core with its disk, whose every effect is written down. */
import { RaftCore } from '../../../src/raft/core/raft-core.ts';
import type {
  Effect,
  Input,
  Message,
  NodeId,
  RaftConfig,
  RecoveredState,
  SnapshotMeta,
} from '../../../src/raft/core/types.ts';
import { TestDisk, testConfig, type PersistEffect } from '../core/harness.ts';
import { wordEffect, wordMessage } from './wording.ts';

export class ScriptNode {
  readonly id: NodeId;
  readonly disk: TestDisk;
  /** Writes wait for {@link finishWrites}. */
  holdsWrites = false;
  /** Elections it has begun: pre-votes asked for, or (alone) stood at once. */
  campaigns = 0;
  readonly #boot: () => RaftCore;
  #core: RaftCore;
  #writes: PersistEffect[] = [];
  #received: SnapshotMeta | null = null;
  readonly #send: (message: Message) => void;
  readonly #say: (line: string) => void;

  constructor(
    id: NodeId,
    state: RecoveredState,
    limits: Partial<RaftConfig>,
    around: { readonly send: (message: Message) => void; readonly say: (line: string) => void },
  ) {
    this.id = id;
    this.disk = new TestDisk(state);
    this.#send = around.send;
    this.#say = around.say;
    // n1 waits one election timeout, each further one a tick longer.
    const patience = Number(id.slice(1)) - 1;
    this.#boot = () =>
      new RaftCore(testConfig(id, limits), this.disk.recovered(), (bound) => patience % bound);
    this.#core = this.#boot();
  }

  get core(): RaftCore {
    return this.#core;
  }

  /** Takes one input and carries out what follows; a disk that is not held is done at once. */
  step(input: Input): void {
    const done: Input[] = [];
    for (const effect of this.#core.step(input)) this.#carryOut(effect, done);
    for (const next of done) this.step(next);
  }

  /** The oldest held writes reach the disk. */
  finishWrites(count = this.#writes.length): void {
    for (const write of this.#writes.splice(0, count)) {
      this.#say(`disk: write #${write.writeId} is durable`);
      this.disk.write(write);
      this.step({ kind: 'persisted', writeId: write.writeId });
    }
  }

  /** The process dies with what is not on its disk, and starts again. */
  restart(): void {
    this.#writes = [];
    this.#received = null;
    this.#core = this.#boot();
    const { role, term } = this.#core.status();
    this.#say(`is ${role} in term ${term} again`);
  }

  compact(): void {
    const { appliedIndex: index } = this.#core.status();
    const term = this.#core.entries(index, index)[0]?.term;
    if (term === undefined) throw new Error(`${this.id} has nothing to compact`);
    const meta = { index, term, config: this.#core.configAt(index) };
    this.disk.snapshot = meta;
    this.disk.compact(index);
    this.step({ kind: 'snapshotTaken', meta, compactThrough: index });
  }

  /** Puts the snapshot in force that was received last. */
  install(): void {
    const meta = this.#received;
    if (meta === null) throw new Error(`${this.id} has received no snapshot`);
    this.#received = null;
    this.disk.install(meta);
    this.step({ kind: 'snapshotInstalled', meta });
  }

  #carryOut(effect: Effect, done: Input[]): void {
    if (effect.kind === 'send') {
      if (effect.message.kind === 'voteRequest') this.campaigns++;
      this.#say(wordMessage(effect.message));
      this.#send(effect.message);
      return;
    }
    this.#say(wordEffect(effect));
    if (effect.kind === 'roleChanged' && effect.role === 'candidate') this.campaigns++;
    if (effect.kind === 'persist') {
      if (this.holdsWrites) this.#writes.push(effect);
      else {
        this.disk.write(effect);
        done.push({ kind: 'persisted', writeId: effect.writeId });
      }
    } else if (effect.kind === 'apply') {
      const last = effect.entries.at(-1);
      if (last !== undefined) done.push({ kind: 'applied', index: last.index });
    } else if (effect.kind === 'receiveSnapshotChunk') {
      this.#received = effect.message.meta;
    }
  }
}
