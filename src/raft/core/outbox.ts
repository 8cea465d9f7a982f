import { assert } from './assert.ts';
import { minIndex } from './ids.ts';
import type { Effect, Entry, HardState, LogIndex, Message } from './types.ts';

/** What one write must hold. */
export interface DirtyState {
  readonly truncateFrom: LogIndex | null;
  readonly append: readonly Entry[];
  readonly hardState: HardState | null;
}

/** Gathers what one step produces. All changes of one step go into one write. */
export class Outbox {
  #effects: Effect[] = [];
  #gated: Message[] = [];
  #hardState: HardState | null = null;
  #truncateFrom: LogIndex | null = null;
  #append: readonly Entry[] = [];

  effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** For messages that promise nothing: sent at once. */
  send(message: Message): void {
    this.#effects.push({ kind: 'send', message });
  }

  /** For messages whose truth depends on this step's (or an earlier) write. */
  sendWhenDurable(message: Message): void {
    this.#gated.push(message);
  }

  hardStateChanged(hardState: HardState): void {
    this.#hardState = hardState;
  }

  logTruncated(from: LogIndex): void {
    this.#truncateFrom = this.#truncateFrom === null ? from : minIndex(this.#truncateFrom, from);
    assert(this.#append.length === 0, 'a step truncates before it appends');
  }

  logAppended(entries: readonly Entry[]): void {
    assert(this.#append.length === 0, 'a step appends once');
    this.#append = entries;
  }

  /** What has to be written, or null. Asking clears it. */
  takeDirty(): DirtyState | null {
    if (this.#hardState === null && this.#truncateFrom === null && this.#append.length === 0) return null;
    const dirty = {
      hardState: this.#hardState,
      truncateFrom: this.#truncateFrom,
      append: this.#append,
    };
    this.#hardState = null;
    this.#truncateFrom = null;
    this.#append = [];
    return dirty;
  }

  takeGated(): readonly Message[] {
    const gated = this.#gated;
    if (gated.length > 0) this.#gated = [];
    return gated;
  }

  takeEffects(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
