import { ApiError } from '../api/errors.ts';
import type { FaultKind, FaultRequest, FaultsView } from '../api/faults.ts';
import { LINES } from '../api/log.ts';
import type { WriteLine } from '../api/log.ts';
import type { ConnectionCut } from '../net/connection-cut.ts';
import type { FaultControl } from '../web/fault-routes.ts';

export interface InjectedFaultsOptions {
  readonly node: string;
  readonly role: 'server' | 'worker';
  readonly cut: ConnectionCut;
  readonly writeLine: WriteLine;
}

interface ActiveFault {
  readonly untilMs: number;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The faults of one node. Each has an end of its own, so that nobody is left with a node that cannot be reached. */
export class InjectedFaults implements FaultControl {
  readonly #options: InjectedFaultsOptions;
  readonly #active = new Map<FaultKind, ActiveFault>();
  #stop: () => void = () => undefined;

  constructor(options: InjectedFaultsOptions) {
    this.#options = options;
  }

  onStop(stop: () => void): void {
    this.#stop = stop;
  }

  set({ fault, forMs }: FaultRequest): FaultsView {
    const { role, node } = this.#options;
    if (fault === 'stop-at-assignment' && role !== 'server') {
      throw new ApiError('CONFLICT', `${node} is a worker: it never assigns a task`);
    }
    this.#end(fault);
    if (forMs > 0) this.#begin(fault, forMs);
    return this.#view();
  }

  #begin(fault: FaultKind, forMs: number): void {
    this.#options.writeLine(LINES.faultInjected(fault, forMs));
    // While it is frozen no timer runs: the time is over when it wakes.
    const timer = setTimeout(() => this.#end(fault), forMs);
    timer.unref();
    this.#active.set(fault, { untilMs: Date.now() + forMs, timer });
    if (fault === 'cut-off') this.#options.cut.set(true);
  }

  #end(fault: FaultKind): void {
    const active = this.#active.get(fault);
    if (active === undefined) return;
    clearTimeout(active.timer);
    this.#active.delete(fault);
    if (fault === 'cut-off') this.#options.cut.set(false);
    this.#options.writeLine(LINES.faultEnded(fault));
  }

  freeze(forMs: number): void {
    // The only thread that acts sleeps, as under SIGSTOP; reads and writes that were begun end in the pool's own threads.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
  }

  /** For the master's placing of tasks: nothing is assigned while it is armed. */
  get stopsAtAssignment(): boolean {
    return this.#active.has('stop-at-assignment');
  }

  /** A node has been found for a task: the moment has come. */
  assignmentReached(): void {
    if (!this.stopsAtAssignment) return;
    this.#end('stop-at-assignment');
    this.#stop();
  }

  #view(): FaultsView {
    const faults = [...this.#active].map(([fault, { untilMs }]) => {
      return { fault, until: new Date(untilMs).toISOString() };
    });
    return { node: this.#options.node, faults };
  }
}
