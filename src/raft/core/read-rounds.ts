/**
 * Linearizable reads on the leader (thesis §6.4). A read is answered when a round of heartbeats that STARTED after it
 * has been answered by a majority: then this was still the leader at a moment after the read was asked. All reads
 * that wait share the next round.
 */
import { assert } from './assert.ts';
import type { LogIndex, NodeId, ReadId } from './types.ts';

export interface PendingRead {
  /** Who asked: this server, or a follower that forwarded it. */
  readonly from: NodeId;
  readonly readId: ReadId;
}
export interface ConfirmedReads {
  readonly index: LogIndex;
  readonly reads: readonly PendingRead[];
}

interface Round extends ConfirmedReads {
  readonly round: number;
}

export class ReadRounds {
  #lastRound = 0;
  #waiting: PendingRead[] = [];
  /** One of them wants a round now. */
  #hasUrgent = false;
  #running: Round[] = [];
  #count = 0;

  /** Reads not answered yet. */
  get count(): number {
    return this.#count;
  }
  /** The number heartbeats carry now. */
  get lastRound(): number {
    return this.#lastRound;
  }
  get isRunning(): boolean {
    return this.#running.length > 0;
  }
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get hasUrgent(): boolean {
    return this.#hasUrgent;
  }

  /** The read waits for the next round that is started; a lazy one does not want one for itself. */
  add(read: PendingRead, lazy: boolean): void {
    this.#waiting.push(read);
    if (!lazy) this.#hasUrgent = true;
    this.#count++;
  }

  /** @returns the number of a new round that answers everything waiting, as of `commitIndex` */
  start(commitIndex: LogIndex): number {
    this.#lastRound++;
    assert(Number.isSafeInteger(this.#lastRound), 'read rounds are exhausted');
    this.#running.push({ round: this.#lastRound, index: commitIndex, reads: this.#waiting });
    this.#waiting = [];
    this.#hasUrgent = false;
    return this.#lastRound;
  }

  /** A majority has answered `round`, and so every earlier one. */
  confirm(round: number): readonly ConfirmedReads[] {
    assert(round <= this.#lastRound, 'a round was answered that was never started');
    let done = 0;
    for (const running of this.#running) {
      if (running.round > round) break;
      this.#count -= running.reads.length;
      done++;
    }
    return this.#running.splice(0, done);
  }

  /** Everything unanswered: the lead is lost. */
  takeAll(): readonly PendingRead[] {
    const all = [...this.#running.flatMap((round) => round.reads), ...this.#waiting];
    this.#running = [];
    this.#waiting = [];
    this.#hasUrgent = false;
    this.#count = 0;
    return all;
  }
}
