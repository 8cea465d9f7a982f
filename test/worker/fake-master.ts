import assert from 'node:assert/strict';
import { MemoryLink } from '../../src/link/memory-link.ts';
import type { MasterToWorker, RunSpec, WorkerToMaster } from '../../src/link/protocol.ts';
import type { DialLink } from '../../src/worker/master-finder.ts';
import { Changes } from './changes.ts';
import { BLANK_SPEC } from './run-spec.ts';

export type Hello = Extract<WorkerToMaster, { kind: 'hello' }>;
export type Of<K extends WorkerToMaster['kind']> = Extract<WorkerToMaster, { kind: K }>;

export const SPEC: RunSpec = { ...BLANK_SPEC, command: ['true'] };

/** Some servers in memory. What each answers to a hello is up to the test; by default server1 is the master. */
export class FakeServers {
  /** By address. A server that is not here refuses the connection; `null` never answers. */
  readonly behavior = new Map<string, ((link: MasterEnd, hello: Hello) => void) | null>();
  readonly dialed: string[] = [];
  /** Links whose hello came, newest last. */
  readonly links: MasterEnd[] = [];

  readonly dial: DialLink = (address) => {
    this.dialed.push(address);
    const behavior = this.behavior.get(address);
    if (behavior === undefined) return Promise.reject(new Error('connect ECONNREFUSED'));
    const [worker, server] = MemoryLink.pair<WorkerToMaster, MasterToWorker>();
    const end = new MasterEnd(server, (hello) => {
      this.links.push(end);
      behavior?.(end, hello);
    });
    return Promise.resolve(worker);
  };

  get latest(): MasterEnd {
    const link = this.links.at(-1);
    assert.ok(link !== undefined, 'a worker said hello');
    return link;
  }
}

/** The server's end of one link. */
export class MasterEnd {
  readonly received: WorkerToMaster[] = [];
  hello: Hello | null = null;
  closed: string | null = null;
  /** Answers heartbeats and results by itself. */
  acknowledges = true;
  records = true;
  readonly #link: MemoryLink<MasterToWorker, WorkerToMaster>;
  readonly #changes = new Changes();

  constructor(link: MemoryLink<MasterToWorker, WorkerToMaster>, onHello: (hello: Hello) => void) {
    this.#link = link;
    this.#link.onClose = (reason) => {
      this.closed = reason;
      this.#changes.notify();
    };
    this.#link.onMessage = (message) => {
      this.received.push(message);
      if (message.kind === 'hello') {
        this.hello = message;
        onHello(message);
      }
      if (message.kind === 'heartbeat' && this.acknowledges)
        this.send({ kind: 'heartbeatAck', seq: message.seq });
      if ((message.kind === 'finished' || message.kind === 'released') && this.records) {
        this.send({ kind: 'recorded', task: message.task, token: message.token, accepted: true });
      }
      this.#changes.notify();
    };
  }

  send(message: MasterToWorker): void {
    this.#link.send(message);
  }

  welcome(term = 1, leader = 'server1', verdict: 'keep' | 'kill' = 'keep'): void {
    const verdicts = (this.hello?.held ?? []).map(({ task, token }) => ({ task, token, verdict }));
    this.send({ kind: 'welcome', leader, term, verdicts });
  }

  run(task: string, token: number): void {
    this.send({ kind: 'run', task, token, number: 1, spec: SPEC });
  }

  break(): void {
    this.#link.break('the network broke');
  }

  all<K extends WorkerToMaster['kind']>(kind: K): Of<K>[] {
    return this.received.filter((message): message is Of<K> => message.kind === kind);
  }

  /** The first message of that kind, now or later. */
  async until<K extends WorkerToMaster['kind']>(kind: K, count = 1): Promise<Of<K>> {
    await this.untilSo(() => this.all(kind).length >= count, `${count} × ${kind}`);
    return this.all(kind)[count - 1]!;
  }

  async untilClosed(): Promise<string> {
    await this.untilSo(() => this.closed !== null, 'the end of the link');
    return this.closed!;
  }

  untilSo(isSo: () => boolean, what: string): Promise<void> {
    return this.#changes.until(isSo, what);
  }
}
