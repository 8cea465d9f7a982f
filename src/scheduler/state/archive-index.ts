import { FINAL_STATUSES } from '../../api/tasks.ts';
import type { FinalStatus } from '../../api/tasks.ts';
import { fnv1a } from './hash.ts';
import { HashPositions } from './hash-positions.ts';
import { SortedNumbers } from './sorted-numbers.ts';

/** Finished tasks per page; a page goes as a whole, so nothing has to be taken out of a table. */
const PAGE_LENGTH = 65_536;
const ARRAY_LENGTH_INITIAL = 1_024;
/** Submission numbers per block of the map from submission number to finish number. */
const SEQ_BLOCK_LENGTH = 1_024;
/** Characters of an id that are hashed: those that every prefix has which may stand for an id. */
const ID_HASH_CHARS = 6;

/** What memory knows of a finished task; the record itself is in the store. */
export interface ArchiveEntry {
  /** Counts finished tasks from 1, in the order in which they finished. */
  readonly finishSeq: number;
  readonly seq: number;
  readonly id: string;
  readonly status: FinalStatus;
  readonly finishedAt: number;
  readonly key: string | null;
}

class Page {
  readonly base: number;
  readonly ids = new HashPositions();
  readonly keys = new HashPositions();
  /** 0 marks a position that is not filled. */
  seqs = new Float64Array(ARRAY_LENGTH_INITIAL);
  finishedAts = new Float64Array(ARRAY_LENGTH_INITIAL);
  statuses = new Uint8Array(ARRAY_LENGTH_INITIAL);

  constructor(base: number) {
    this.base = base;
  }

  fit(position: number): void {
    let length = this.seqs.length;
    if (position < length) return;
    while (length <= position) length *= 2;
    this.seqs = grown(this.seqs, new Float64Array(length));
    this.finishedAts = grown(this.finishedAts, new Float64Array(length));
    this.statuses = grown(this.statuses, new Uint8Array(length));
  }
}

function grown<A extends Float64Array | Uint8Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

/**
 * Where the finished tasks are, at about 60 bytes each: by id prefix, by key, by submission number (of all and of each
 * status) and by finish number. Hash hits are candidates: whoever asks compares with the record.
 */
export class ArchiveIndex {
  readonly #pages = new Map<number, Page>();
  readonly #bySeq = new Map<number, { readonly finishSeqs: Float64Array; count: number }>();
  readonly #seqsByStatus = FINAL_STATUSES.map(() => new SortedNumbers());

  has(finishSeq: number): boolean {
    return this.seqOf(finishSeq) !== 0;
  }

  add(entry: ArchiveEntry): void {
    const pageNumber = Math.floor((entry.finishSeq - 1) / PAGE_LENGTH);
    let page = this.#pages.get(pageNumber);
    if (page === undefined) {
      page = new Page(pageNumber * PAGE_LENGTH + 1);
      this.#pages.set(pageNumber, page);
    }
    const position = entry.finishSeq - page.base;
    page.fit(position);
    if (page.seqs[position] !== 0) return;
    page.seqs[position] = entry.seq;
    page.finishedAts[position] = entry.finishedAt;
    page.statuses[position] = FINAL_STATUSES.indexOf(entry.status);
    page.ids.add(idHash(entry.id), position);
    if (entry.key !== null) page.keys.add(fnv1a(entry.key), position);
    const blockNumber = Math.floor(entry.seq / SEQ_BLOCK_LENGTH);
    let block = this.#bySeq.get(blockNumber);
    if (block === undefined) {
      block = { finishSeqs: new Float64Array(SEQ_BLOCK_LENGTH), count: 0 };
      this.#bySeq.set(blockNumber, block);
    }
    block.finishSeqs[entry.seq % SEQ_BLOCK_LENGTH] = entry.finishSeq;
    block.count += 1;
    this.#seqsByStatus[FINAL_STATUSES.indexOf(entry.status)]?.add(entry.seq);
  }

  /** Finish numbers of tasks whose id may begin with `prefix` (≥ 6 characters), newest page first. */
  candidatesById(prefix: string): readonly number[] {
    return this.#candidates((page) => page.ids, idHash(prefix));
  }

  /** Finish numbers of tasks that may have been submitted under this key digest. */
  candidatesByKey(key: string): readonly number[] {
    return this.#candidates((page) => page.keys, fnv1a(key));
  }

  #candidates(tableOf: (page: Page) => HashPositions, hash: number): readonly number[] {
    const found: number[] = [];
    for (const page of this.#pages.values()) {
      tableOf(page).each(hash, (position) => found.push(page.base + position));
    }
    return found;
  }

  /** 0 if there is none. */
  seqOf(finishSeq: number): number {
    const page = this.#pages.get(Math.floor((finishSeq - 1) / PAGE_LENGTH));
    return page === undefined ? 0 : (page.seqs[finishSeq - page.base] ?? 0);
  }

  statusOf(finishSeq: number): FinalStatus {
    const page = this.#pages.get(Math.floor((finishSeq - 1) / PAGE_LENGTH));
    const status = this.has(finishSeq)
      ? FINAL_STATUSES[page?.statuses[finishSeq - page.base] ?? 0]
      : undefined;
    if (status === undefined) throw new Error(`finish number ${finishSeq} is not in the index`);
    return status;
  }

  finishedAtOf(finishSeq: number): number {
    const page = this.#pages.get(Math.floor((finishSeq - 1) / PAGE_LENGTH));
    return page?.finishedAts[finishSeq - page.base] ?? 0;
  }

  /** Finish number of the task submitted as `seq`; 0 if that is not here. */
  finishSeqOf(seq: number): number {
    return this.#bySeq.get(Math.floor(seq / SEQ_BLOCK_LENGTH))?.finishSeqs[seq % SEQ_BLOCK_LENGTH] ?? 0;
  }

  /** The largest submission number below `seq` that is here, not looking below `floor`; 0 if there is none. */
  seqBelow(seq: number, floor: number): number {
    let at = seq - 1;
    while (at >= floor && at >= 1) {
      const block = this.#bySeq.get(Math.floor(at / SEQ_BLOCK_LENGTH));
      if (block === undefined) {
        at = Math.floor(at / SEQ_BLOCK_LENGTH) * SEQ_BLOCK_LENGTH - 1;
        continue;
      }
      if (block.finishSeqs[at % SEQ_BLOCK_LENGTH] !== 0) return at;
      at -= 1;
    }
    return 0;
  }

  /** The largest submission number below `seq` of a task that ended like this; 0 if there is none. */
  seqOfStatusBelow(seq: number, status: FinalStatus): number {
    return this.#seqsByStatus[FINAL_STATUSES.indexOf(status)]?.below(seq) ?? 0;
  }

  /** Not found by its submission number any more. */
  hide(finishSeq: number): void {
    const seq = this.seqOf(finishSeq);
    const blockNumber = Math.floor(seq / SEQ_BLOCK_LENGTH);
    const block = this.#bySeq.get(blockNumber);
    if (seq === 0 || block === undefined || block.finishSeqs[seq % SEQ_BLOCK_LENGTH] !== finishSeq) return;
    this.#seqsByStatus[FINAL_STATUSES.indexOf(this.statusOf(finishSeq))]?.delete(seq);
    block.finishSeqs[seq % SEQ_BLOCK_LENGTH] = 0;
    block.count -= 1;
    if (block.count === 0) this.#bySeq.delete(blockNumber);
  }

  /** Forgets the finish numbers through `through`, all of them hidden: their tables go with their pages. */
  drop(through: number): void {
    for (const [pageNumber, page] of this.#pages) {
      if (page.base + PAGE_LENGTH - 1 <= through) this.#pages.delete(pageNumber);
    }
  }
}

function idHash(id: string): number {
  return fnv1a(id.slice(0, ID_HASH_CHARS));
}
