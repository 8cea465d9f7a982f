import { edits, type Mutant } from './mutant.ts';

const CORE = ['core'] as const;
const elections = 'src/raft/core/elections.ts';
const server = 'src/raft/core/server.ts';
const rawCore = 'src/raft/core/raft-core.ts';

/** Bugs in elections and terms (§5.2, §5.4.1, thesis §4.2.3 and §9.6). */
export const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'vote-not-persisted',
    rule: 'Figure 2: votedFor is on stable storage before the answer',
    kinds: CORE,
    edits: edits(server, [
      `    this.out.hardStateChanged({ currentTerm: this.currentTerm, votedFor: candidate });`,
      '',
    ]),
  },
  {
    name: 'vote-before-fsync',
    rule: 'Figure 2: a vote is sent when it is durable',
    kinds: CORE,
    edits: edits(elections, [
      `server.out.sendWhenDurable({ kind: 'voteResponse', from, to: m.from, term: currentTerm`,
      `server.out.send({ kind: 'voteResponse', from, to: m.from, term: currentTerm`,
    ]),
  },
  {
    name: 'self-vote-before-fsync',
    rule: 'Figure 2: the own vote, too, counts when it is durable',
    kinds: CORE,
    edits: edits(
      elections,
      [
        `  server.out.sendWhenDurable({\n    kind: 'voteResponse',`,
        `  server.votes.record(server.id, true);\n  void ({\n    kind: 'voteResponse',`,
      ],
      [
        `server.out.sendWhenDurable(voteRequest(server, to, server.currentTerm, false, force))`,
        `server.out.send(voteRequest(server, to, server.currentTerm, false, force))`,
      ],
    ),
  },
  {
    name: 'term-not-persisted',
    rule: 'Figure 2: currentTerm is on stable storage before an answer',
    kinds: CORE,
    edits: edits(server, [
      `    this.out.hardStateChanged({ currentTerm: term, votedFor });`,
      `    if (votedFor !== null) this.out.hardStateChanged({ currentTerm: term, votedFor });`,
    ]),
  },
  {
    name: 'vote-forgotten-at-restart',
    rule: 'Figure 2: one vote per term, also across a restart',
    kinds: CORE,
    edits: edits(server, [`    this.votedFor = hardState.votedFor;`, `    this.votedFor = null;`]),
  },
  {
    name: 'two-votes-in-a-term',
    rule: '§5.2: first come, first served',
    kinds: CORE,
    edits: [
      ...edits(elections, [
        `server.votedFor === m.from || (server.votedFor === null && server.leader === null)`,
        `server.leader === null && server.id !== server.votedFor`,
      ]),
      ...edits(server, [
        `    assert(this.votedFor === null || this.votedFor === candidate, 'one vote per term');`,
        '',
      ]),
    ],
  },
  {
    name: 'vote-for-an-outdated-log',
    rule: '§5.4.1: no vote for a log that is less up-to-date',
    kinds: CORE,
    edits: edits(elections, [`isFree && server.log.isUpToDate(m.lastLogIndex, m.lastLogTerm)`, `isFree`]),
  },
  {
    name: 'longer-log-wins',
    rule: '§5.4.1: the term of the last entry comes before the length',
    kinds: CORE,
    edits: edits('src/raft/core/log.ts', [
      `lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex)`,
      `lastIndex > this.lastIndex || (lastIndex === this.lastIndex && lastTerm >= ownTerm)`,
    ]),
  },
  {
    name: 'majority-of-half',
    rule: '§5.2: half of an even number of voters is no majority',
    kinds: CORE,
    edits: edits('src/raft/core/quorum.ts', [`Math.floor(voterCount / 2) + 1`, `Math.ceil(voterCount / 2)`]),
  },
  {
    name: 'votes-of-an-older-campaign',
    rule: '§5.2: a vote counts in the term it was given in',
    kinds: CORE,
    edits: edits(rawCore, [
      `    if (m.term < server.currentTerm) {`,
      `    if (m.term < server.currentTerm && !(m.kind === 'voteResponse' && !m.preVote)) {`,
    ]),
  },
  {
    name: 'no-pre-vote',
    rule: 'Thesis §9.6: who could not win does not raise the term',
    kinds: CORE,
    edits: edits(elections, [
      `  becomePreCandidate(server);\n`,
      `  campaign(server, false);\n  if (server.id !== '') return;\n`,
    ]),
  },
  {
    name: 'no-stickiness',
    rule: 'Thesis §4.2.3: who hears a leader does not help to replace it',
    kinds: CORE,
    edits: edits(rawCore, [`!m.force && isSticky(server)`, `!m.force && server.config.id === ''`]),
  },
  {
    name: 'no-check-quorum',
    rule: 'Thesis §6.2: a leader that no majority answers steps down',
    kinds: CORE,
    edits: edits('src/raft/core/leading.ts', [`!leadership.hasQuorumContact(voters) || (voters`, `(voters`]),
  },
  {
    name: 'timer-reset-by-a-refused-vote',
    rule: '§5.2: only a vote that is granted resets the timer',
    kinds: CORE,
    edits: edits(elections, [`  if (!granted) {\n`, `  if (!granted) {\n    server.electionElapsed = 0;\n`]),
  },
  {
    name: 'patience-without-end',
    rule: 'A follower bears a busy leader’s silence for a while, not for ever',
    kinds: CORE,
    edits: edits(elections, [`    server.patience--;\n`, '']),
  },
];
