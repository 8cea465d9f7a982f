import { edits, type Mutant } from './mutant.ts';

const CORE = ['core'] as const;
const reads = 'src/raft/core/reads.ts';
const rounds = 'src/raft/core/read-rounds.ts';

/** Bugs in linearizable reads (thesis §6.4). */
export const READ_MUTANTS: readonly Mutant[] = [
  {
    name: 'read-without-a-round',
    rule: 'Thesis §6.4 step 3: a leader makes sure that it still leads',
    kinds: CORE,
    edits: edits(reads, [
      `  leadership.reads.add(read, lazy);\n`,
      `  if (hasCommittedInTerm(server, leadership)) {\n    answer(server, read, server.commitIndex);\n    return;\n  }\n  leadership.reads.add(read, lazy);\n`,
    ]),
  },
  {
    name: 'read-before-the-no-op-is-committed',
    rule: 'Thesis §6.4 step 1: a new leader does not know what is committed',
    kinds: CORE,
    edits: edits(
      reads,
      [`reads.isRunning || !hasCommittedInTerm(server, leadership)) return;`, `reads.isRunning) return;`],
      [
        `leadership.reads.hasWaiting && hasCommittedInTerm(server, leadership)`,
        `leadership.reads.hasWaiting`,
      ],
    ),
  },
  {
    name: 'read-joins-a-running-round',
    rule: 'Thesis §6.4: the round begins after the read was asked',
    kinds: CORE,
    edits: edits(rounds, [
      `    this.#waiting.push(read);\n`,
      `    const running = this.#running.at(-1);\n    if (running !== undefined) {\n      (running.reads as PendingRead[]).push(read);\n      this.#count++;\n      return;\n    }\n    this.#waiting.push(read);\n`,
    ]),
  },
  {
    name: 'round-confirmed-by-one',
    rule: 'Thesis §6.4 step 3: a majority answers the round',
    kinds: CORE,
    edits: edits('src/raft/core/leadership.ts', [
      `  majorityRound(voters: readonly NodeId[]): number {\n    return reachedByMajority(voters, (id) =>\n      id === this.#config.id ? this.reads.lastRound : (this.peers.get(id)?.ackedRound ?? 0),\n    );`,
      `  majorityRound(voters: readonly NodeId[]): number {\n    void voters;\n    return this.reads.lastRound;`,
    ]),
  },
  {
    name: 'late-answer-confirms-a-round',
    rule: 'An answer to an older term’s heartbeat confirms nothing',
    kinds: CORE,
    edits: edits('src/raft/core/raft-core.ts', [
      `out.send({ kind: 'heartbeatAck', from, to, term, round: 0 });`,
      `out.send({ kind: 'heartbeatAck', from, to, term, round: m.kind === 'heartbeat' ? m.round : 0 });`,
    ]),
  },
  {
    name: 'read-not-awaited',
    rule: 'Thesis §6.4 step 4: the read waits until its index is applied',
    kinds: ['node'],
    edits: edits('src/raft/node/read-barriers.ts', [
      `if (index <= this.#options.appliedIndex()) settle(`,
      `if (index >= 0) settle(`,
    ]),
  },
];
