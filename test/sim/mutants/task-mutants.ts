import { edits, type Mutant } from './mutant.ts';

const TASKS = ['tasks'] as const;
const applyOp = 'src/scheduler/state/apply-op.ts';
const lifecycle = 'src/scheduler/state/lifecycle.ts';
const links = 'src/scheduler/master/links.ts';
const heartbeats = 'src/scheduler/master/heartbeats.ts';

/** Bugs in the task list and in the master's duties (docs/scheduling.md, docs/execution.md). */
export const TASK_MUTANTS: readonly Mutant[] = [
  {
    name: 'result-of-an-old-attempt',
    rule: 'A result counts only with the token of the current attempt',
    kinds: TASKS,
    edits: edits(applyOp, [
      `  if (task === undefined || attempt?.token !== op.token) {`,
      `  if (task === undefined || attempt === null) {`,
    ]),
  },
  {
    name: 'given-back-without-the-token',
    rule: 'A release counts only with the token of the current attempt',
    kinds: TASKS,
    edits: edits(applyOp, [
      `  if (attempt?.token !== token) return SUPERSEDED;\n  const next = isLoss`,
      `  if (attempt === null) return SUPERSEDED;\n  const next = isLoss`,
    ]),
  },
  {
    name: 'token-used-again',
    rule: 'The token is the index of the assignment: no other attempt has it',
    kinds: TASKS,
    edits: edits(lifecycle, [`    token: ctx.index,\n`, `    token: number,\n`]),
  },
  {
    name: 'assigned-while-held',
    rule: 'Only a queued task is assigned',
    kinds: TASKS,
    edits: [
      ...edits(applyOp, [
        `  if (task.status !== 'queued') return`,
        `  if (task.status === 'scheduled') return`,
      ]),
      ...edits('src/scheduler/master/duties.ts', [
        `  #declareLost(lead: Lead, node: FleetNode, silentMs: number): void {\n`,
        `  #declareLost(lead: Lead, node: FleetNode, silentMs: number): void {\n    const { machine, fleet } = this.#options;\n    for (const task of machine.state.tasks.onNode(node.id)) {\n      for (const other of fleet.all()) {\n        if (other !== node) lead.batcher.addDuty({ op: 'assign', task, node: other.id, placement: { reason: '', candidates: [] } } as never, () => undefined);\n      }\n    }\n`,
      ]),
    ],
  },
  {
    name: 'later-task-first',
    rule: 'docs/scheduling.md: by priority, then by submission',
    kinds: TASKS,
    edits: edits('src/scheduler/state/task-queue.ts', [
      `this.#priorities.sort((a, b) => b - a);`,
      `this.#priorities.sort((a, b) => a - b);`,
    ]),
  },
  {
    name: 'too-many-attempts',
    rule: 'maxAttempts bounds the attempts that failed',
    kinds: TASKS,
    edits: edits(lifecycle, [`used >= maxAttemptsOf(spec)`, `used > maxAttemptsOf(spec)`]),
  },
  {
    name: 'key-forgotten-when-done',
    rule: 'A key stands for its task as long as that is kept',
    kinds: TASKS,
    edits: edits('src/scheduler/state/submit.ts', [`?? archive.findKey(task.key);`, `?? null;`]),
  },
  {
    name: 'keys-not-in-the-snapshot',
    rule: 'Thesis §6.3: sessions (here the keys) are part of the snapshot',
    kinds: TASKS,
    edits: edits('src/scheduler/state/record-codec.ts', [`    key: task.k ?? null,\n`, `    key: null,\n`]),
  },
  {
    name: 'clock-not-in-the-snapshot',
    rule: 'The time of the log, which never goes back, is replicated state',
    kinds: TASKS,
    edits: edits('src/scheduler/state/snapshot-format.ts', [
      `  state.clock = header.clock;\n`,
      `  state.clock = 0;\n`,
    ]),
  },
  {
    name: 'answered-before-committed',
    rule: 'A result is acknowledged when it is in the log for good',
    kinds: TASKS,
    edits: edits(links, [
      `    lead.batcher.addDuty(op, (decided) => {\n      if (decided.kind !== 'applied') return;\n      const accepted =`,
      `    session.send({ kind: 'recorded', task, token, accepted: true });\n    lead.batcher.addDuty(op, (decided) => {\n      if (decided.kind !== 'applied') return;\n      const accepted =`,
    ]),
  },
  {
    name: 'lease-cut-short-by-an-election',
    rule: 'A new master counts every lease from its election',
    kinds: TASKS,
    edits: edits(
      'src/scheduler/master/master.ts',
      [`this.fleet.put(record, this.#electedAtMs);`, `this.fleet.put(record, this.#electedAtMs - 10_000);`],
      [`      node.leaseFromMs = this.#electedAtMs;\n`, ''],
    ),
  },
  {
    name: 'declared-lost-too-early',
    rule: 'A node is lost after its lease and a margin',
    kinds: TASKS,
    edits: edits('src/scheduler/master/duties.ts', [
      `silentMs >= this.#options.lostAfterMs`,
      `silentMs >= this.#options.lostAfterMs / 2`,
    ]),
  },
  {
    name: 'superseded-attempt-kept',
    rule: 'A worker that comes back ends what is not its own any more',
    kinds: TASKS,
    edits: edits(links, [
      `heldState === 'ended' || this.#isCurrent(node, { task, token }) ? 'keep' : 'kill',`,
      `heldState === 'ended' || node.id !== '' ? 'keep' : 'kill',`,
    ]),
  },
  {
    name: 'lease-from-receipt-time',
    rule: 'A worker’s lease counts from when it SENT the heartbeat',
    kinds: TASKS,
    edits: edits('src/worker/lease-renewal.ts', [
      `    const untilMs = sentAtMs + this.#pauseAfterMs;`,
      `    const untilMs = nowMs + this.#pauseAfterMs;`,
    ]),
  },
  {
    name: 'lease-renewed-without-a-quorum',
    rule: 'A heartbeat is acknowledged after a quorum round begun after it',
    kinds: TASKS,
    edits: edits(heartbeats, [
      `    void this.#consensus\n      .readBarrier({ lazy: true })\n`,
      `    void Promise.resolve({ kind: 'ready' })\n`,
    ]),
  },
  {
    name: 'version-raised-before-all-know-it',
    rule: 'A version counts from when the master has seen every member speak it',
    kinds: TASKS,
    edits: edits('src/scheduler/master/duties.ts', [
      `Math.min(commonVersion(), OP_VERSION_NEWEST)`,
      `Math.max(commonVersion(), OP_VERSION_NEWEST)`,
    ]),
  },
  {
    name: 'proposed-before-all-know-it',
    rule: 'What only a newer version knows is proposed once the log says that all know it',
    kinds: TASKS,
    edits: edits('src/scheduler/master/master.ts', [
      `isUnderstoodAt(machine.state.version, op)`,
      `isUnderstoodAt(machine.state.version + 1, op)`,
    ]),
  },
  {
    // Both of the places that hold the rule: a master stamps nothing older than what it has applied, and nobody applies anything older.
    name: 'log-time-goes-back',
    rule: 'Time in the log never goes back, whatever the masters’ clocks say',
    kinds: TASKS,
    edits: [
      ...edits('src/scheduler/task-machine.ts', [`Math.max(state.clock, entry.at)`, `entry.at`]),
      ...edits('src/scheduler/master/log-clock.ts', [
        `Math.max(this.#clock.wallMs(), this.#stateClock(), goneOnMs)`,
        `this.#clock.wallMs()`,
      ]),
    ],
  },
];
