import type { MasterToWorker, WorkerToMaster } from '../../src/link/protocol.ts';
import type { WorkerLink } from '../../src/scheduler/master/worker-session.ts';
import type { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import type { TaskHost } from './task-host.ts';

export interface SimLinkOptions {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly node: SimNode<TaskHost>;
  /** The worker's end. */
  readonly onMessage: (message: MasterToWorker) => void;
  /** Called at most once. */
  readonly onClosed: (reason: string) => void;
}

export type Direction = 'toServer' | 'toWorker';

/** A connection as TCP makes them: in order and whole, until it breaks, or silently swallows everything from some point on. */
export class SimLink {
  readonly #options: SimLinkOptions;
  /** The server's process that accepted it. */
  readonly #life: number;
  readonly #lastArrivalMs: Record<Direction, number> = { toServer: 0, toWorker: 0 };
  #server: WorkerLink | null = null;
  readonly #isSwallowing: Record<Direction, boolean> = { toServer: false, toWorker: false };
  #answersLateMs = 0;
  #isClosedHere = false;
  #isClosedThere = false;

  constructor(options: SimLinkOptions) {
    this.#options = options;
    this.#life = options.node.life;
  }

  /** Dials; nothing is lost that is sent meanwhile. */
  open(): void {
    this.#carry('toServer', () => {
      if (!this.#isServerAlive()) {
        this.#closeHere('connection refused');
        return;
      }
      this.#options.node.touch((host) => {
        const link: WorkerLink = {
          onMessage: null,
          onClose: null,
          send: (message) => {
            // A process that has died in the middle of its effects says nothing more.
            if (!this.#isServerAlive()) return;
            const copy = JSON.parse(JSON.stringify(message)) as MasterToWorker;
            this.#carry('toWorker', () => {
              if (!this.#isClosedHere) this.#options.onMessage(copy);
            });
          },
          close: () => {
            this.#isClosedThere = true;
            this.#carry('toWorker', () => this.#closeHere('closed by the server'));
          },
        };
        this.#server = link;
        host.acceptLink(link);
      });
    });
  }

  send(message: WorkerToMaster): void {
    if (this.#isClosedHere) return;
    const copy = JSON.parse(JSON.stringify(message)) as WorkerToMaster;
    this.#carry('toServer', () => {
      if (!this.#isServerAlive()) {
        this.#carry('toWorker', () => this.#closeHere('connection reset'));
        return;
      }
      this.#options.node.touch(() => {
        if (!this.#isClosedThere) this.#server?.onMessage?.(copy);
      });
    });
  }

  /** By the worker. */
  close(): void {
    if (this.#isClosedHere) return;
    this.#isClosedHere = true;
    this.#carry('toServer', () => this.#closeThere());
  }

  /** From now on nothing arrives any more (or only one way), and nobody is told. */
  swallow(only?: Direction): void {
    if (only !== 'toServer') this.#isSwallowing.toWorker = true;
    if (only !== 'toWorker') this.#isSwallowing.toServer = true;
  }

  delayAnswers(byMs: number): void {
    this.#answersLateMs = byMs;
  }

  #closeHere(reason: string): void {
    if (this.#isClosedHere) return;
    this.#isClosedHere = true;
    this.#options.onClosed(reason);
  }

  #closeThere(): void {
    if (!this.#isServerAlive()) return;
    this.#options.node.touch(() => {
      if (this.#isClosedThere) return;
      this.#isClosedThere = true;
      this.#server?.onClose?.('closed by the worker');
    });
  }

  #isServerAlive(): boolean {
    return this.#options.node.isUp && this.#options.node.life === this.#life;
  }

  #carry(direction: Direction, arrive: () => void): void {
    const { queue, random, weather } = this.#options;
    const { delayMs, delayMaxMs } = weather();
    const lateMs = direction === 'toWorker' ? this.#answersLateMs : 0;
    const arrivalMs = Math.max(
      this.#lastArrivalMs[direction],
      queue.nowMs + lateMs + random.heavyTailed(delayMs * (0.5 + random.fraction()), delayMaxMs),
    );
    this.#lastArrivalMs[direction] = arrivalMs;
    queue.after(arrivalMs - queue.nowMs, () => {
      if (!this.#isSwallowing[direction]) arrive();
    });
  }
}
