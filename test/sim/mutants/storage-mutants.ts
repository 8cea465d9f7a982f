import { edits, type Mutant } from './mutant.ts';

const NODE = ['node'] as const;
const flusher = 'src/raft/node/flusher.ts';
const superblock = 'src/raft/storage/superblock.ts';
const packs = 'src/raft/storage/log-packs.ts';

/** Bugs in the production driver and the stored format (docs/storage.md). */
export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'durable-before-the-write',
    rule: 'A write is reported when it is on the disk',
    kinds: NODE,
    edits: edits(
      flusher,
      [
        `    this.#inFlight = this.#write(ops, entries, hasVote).then(\n`,
        `    if (writeId !== null) queueMicrotask(() => this.#options.onPersisted(writeId));\n    this.#inFlight = this.#write(ops, entries, hasVote).then(\n`,
      ],
      [`        if (writeId !== null) this.#options.onPersisted(writeId);\n`, ''],
    ),
  },
  {
    name: 'failed-write-ignored',
    rule: 'A failed write ends the process; it is never taken for done',
    kinds: NODE,
    edits: edits(flusher, [
      `        job?.reject(error);\n        this.#failed(error);\n      },\n    );`,
      `        job?.reject(error);\n        if (writeId !== null) this.#options.onPersisted(writeId);\n        this.#flush();\n      },\n    );`,
    ]),
  },
  {
    name: 'vote-lost-in-a-merged-write',
    rule: 'Group commit keeps the newest hard state of all it merges',
    kinds: NODE,
    edits: edits(flusher, [
      `this.#hardState = effect.hardState ?? this.#hardState;`,
      `this.#hardState = effect.hardState;`,
    ]),
  },
  {
    name: 'truncation-not-persisted',
    rule: 'What is truncated is gone after a restart',
    kinds: NODE,
    edits: edits(packs, [
      `      if (cut !== undefined) ops.push({ kind: 'del', key: logKey(cut.first) });\n`,
      '',
    ]),
  },
  {
    name: 'pack-cut-off-whole',
    rule: 'A truncation within a pack keeps what is before it',
    kinds: NODE,
    edits: edits(packs, [`    this.#put(ops, kept, hardSeq);\n`, `    void kept;\n    void hardSeq;\n`]),
  },
  {
    name: 'checksum-not-checked',
    rule: 'docs/storage.md: a record that does not match its checksum is refused',
    kinds: NODE,
    edits: edits('src/raft/storage/sealed-record.ts', [
      `  if (crc32(body, crc32(key)) !== expected)`,
      `  if (expected < 0)`,
    ]),
  },
  {
    name: 'chain-not-checked',
    rule: 'docs/storage.md: a pack continues the one before it',
    kinds: NODE,
    edits: edits(packs, [`if (pack.chainBefore !== packs.chainTip) {`, `if (pack.chainBefore < 0) {`]),
  },
  {
    // Both of the places that hold the rule: the log's packs and the superblock.
    name: 'old-vote-record-accepted',
    rule: 'docs/storage.md: log and superblock name the newest vote record they were written after',
    kinds: NODE,
    edits: [
      ...edits(packs, [`if (pack.hardSeq > hardSeq) {`, `if (pack.hardSeq < 0 && hardSeq < 0) {`]),
      ...edits(
        superblock,
        [`const isSame = found.writes === known.writes;`, `const isSame = found.writes < 0;`],
        [`  { field: 'hardSeq', kind: 'rises' },\n`, ''],
      ),
    ],
  },
  {
    name: 'lost-writes-accepted',
    rule: 'docs/storage.md: a database that lacks writes which the superblock knows of is refused',
    kinds: NODE,
    edits: edits(superblock, [`if (found.writes < known.writes) {`, `if (found.writes < 0) {`]),
  },
  {
    name: 'snapshot-of-a-later-state',
    rule: '§7: a snapshot is the state as of its index',
    kinds: NODE,
    edits: edits('src/raft/node/snapshot-writer.ts', [
      `    const first = chunks.next();\n`,
      `    const first = this.#options.flusher.background(() => []).then(() => chunks.next());\n`,
    ]),
  },
];
