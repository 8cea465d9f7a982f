import { edits, type Mutant } from './mutant.ts';

const CORE = ['core'] as const;
const leading = 'src/raft/core/leading.ts';
const membership = 'src/raft/core/membership.ts';
const server = 'src/raft/core/server.ts';

/** Bugs in changes of membership (thesis chapter 4). */
export const MEMBERSHIP_MUTANTS: readonly Mutant[] = [
  {
    name: 'learner-counted',
    rule: 'Thesis §4.2.1: learners are no part of a majority',
    kinds: CORE,
    edits: edits('src/raft/core/replication.ts', [
      `majorityMatch(server.membership.current.voters, `,
      `majorityMatch([...server.membership.current.voters, ...server.membership.current.learners], `,
    ]),
  },
  {
    name: 'learner-stands',
    rule: 'Thesis §4.2.1: learners do not stand for election',
    kinds: CORE,
    edits: edits(membership, [
      `    if (this.isVoter(id)) return true;\n`,
      `    if (this.isVoter(id) || this.current.learners.includes(id)) return true;\n`,
    ]),
  },
  {
    name: 'two-changes-at-once',
    rule: 'Thesis §4.1: a change begins when the one before is committed',
    kinds: CORE,
    edits: edits(leading, [
      `  if (server.membership.currentIndex > server.commitIndex) return 'one membership change at a time';\n`,
      '',
    ]),
  },
  {
    name: 'change-before-the-no-op-is-committed',
    rule: 'Thesis §4.1 as corrected 2015: first an entry of the own term',
    kinds: CORE,
    edits: edits(leading, [
      `  if (!hasCommittedInTerm(server, leadership)) return 'the leader has not committed in its term yet';\n`,
      '',
    ]),
  },
  {
    name: 'two-voters-in-one-change',
    rule: 'Thesis §4.1: one voter at a time, so that majorities overlap',
    kinds: CORE,
    edits: edits(membership, [
      `if (added.length + removed.length > 1)`,
      `if (added.length + removed.length > 9)`,
    ]),
  },
  {
    name: 'truncated-configuration-in-force',
    rule: 'Thesis §4.1: a configuration goes with its entry',
    kinds: CORE,
    edits: edits(server, [`    this.membership.truncate(from);\n`, '']),
  },
  {
    name: 'configuration-not-in-the-snapshot',
    rule: '§7: a snapshot holds the configuration as of its index',
    kinds: CORE,
    edits: edits(server, [`    this.membership.rebase(meta);\n`, '']),
  },
  {
    name: 'removed-leader-stays',
    rule: 'Thesis §4.2.2: a leader that removed itself steps down',
    kinds: CORE,
    edits: edits(leading, [`  if (!isMember && server`, `  if (!isMember && server.id === '' && server`]),
  },
];
