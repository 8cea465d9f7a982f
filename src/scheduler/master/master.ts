import { ApiError } from '../../api/errors.ts';
import { LIMITS } from '../../api/limits.ts';
import { LINES } from '../../api/log.ts';
import type { WriteLine } from '../../api/log.ts';
import { FINAL_STATUSES, isFinal } from '../../api/tasks.ts';
import { LEASE } from '../../link/protocol.ts';
import { TRANSFERRING } from '../../raft/consensus.ts';
import type { Consensus, RoleChange } from '../../raft/consensus.ts';
import type { LeaderExecutes } from '../placement/placement.ts';
import { currentAttempt } from '../state/lifecycle.ts';
import { RETENTION } from '../state/limits.ts';
import { isUnderstoodAt } from '../state/op-versions.ts';
import type { ApplyResult, Op, OpResult } from '../state/ops.ts';
import type { TaskRecord } from '../state/records.ts';
import type { AppliedEntry } from '../state/task-state.ts';
import type { TaskMachine } from '../task-machine.ts';
import type { MasterClock, MasterLogger } from './clock.ts';
import { LogClock } from './log-clock.ts';
import { Duties } from './duties.ts';
import { Fleet } from './fleet.ts';
import { Heartbeats } from './heartbeats.ts';
import { Links } from './links.ts';
import type { Lead } from './links.ts';
import { OpBatcher } from './op-batcher.ts';
import type { OpOutcome } from './op-batcher.ts';
import { Placer } from './placer.ts';
import type { AssignmentFault } from './placer.ts';
import type { WorkerLink } from './worker-session.ts';

/** Seconds after which a refused caller may try again. */
const RETRY_AFTER_SECONDS = 1;

export interface MasterOptions {
  readonly consensus: Consensus<ApplyResult>;
  readonly machine: TaskMachine;
  readonly nodeId: string;
  readonly clock: MasterClock;
  readonly writeLine: WriteLine;
  readonly log: MasterLogger;
  readonly leaderExecutes: LeaderExecutes;
  /** host:port of a server's own routes, by its id. */
  readonly serverAddress: (id: string) => string | null;
  /** Port named in the log lines for results of tasks that did not come through a client node. */
  readonly clientPortDefault: number;
  readonly lease?: { readonly pauseAfterMs: number; readonly lostAfterMs: number };
  /** Tasks not yet final; beyond it submits are refused. Default: {@link LIMITS.queuedTasksMax}. */
  readonly queuedTasksMax?: number;
  readonly retention?: { readonly ageMs: number; readonly tasksMax: number };
  /** null or left out: fault injection is off. */
  readonly fault?: AssignmentFault | null;
}

/**
 * What a server does while it leads: takes in tasks, gives them to nodes, records what they report, and notices when
 * they are gone. Everything it decides goes through the log; what it keeps in memory (links, leases, samples) a successor
 * learns anew from the workers. On any other server it only redirects workers.
 */
export class Master {
  readonly fleet: Fleet;
  readonly #options: MasterOptions;
  readonly #lease: { readonly pauseAfterMs: number; readonly lostAfterMs: number };
  readonly #links: Links;
  readonly #placer: Placer;
  readonly #duties: Duties;
  #lead: Lead | null = null;
  #role: RoleChange | null = null;
  #electedAtMs = 0;
  #lastTermStarted = 0;
  /** The leader other than this server that was last known. */
  #followed: string | null = null;
  #submitting = 0;
  #unsubscribe: (() => void)[] = [];

  constructor(options: MasterOptions) {
    const { consensus, machine, nodeId, writeLine, log, leaderExecutes, serverAddress } = options;
    const clock = new LogClock(options.clock, () => machine.state.clock);
    this.#options = { ...options, clock };
    this.#lease = options.lease ?? LEASE;
    const { lostAfterMs, pauseAfterMs } = this.#lease;
    this.fleet = new Fleet(nodeId, pauseAfterMs);
    const { fleet } = this;
    this.#links = new Links({
      ...{ nodeId, consensus, machine, fleet, clock, writeLine, log, serverAddress, lostAfterMs },
    });
    this.#placer = new Placer({
      ...{ machine, fleet, clock, leaderExecutes, fallbackAfterMs: lostAfterMs },
      fault: options.fault ?? null,
    });
    this.#duties = new Duties({
      ...{ machine, fleet, clock, writeLine, log, lostAfterMs },
      commonVersion: () => consensus.commonVersion(),
      links: this.#links,
      retention: options.retention ?? RETENTION,
    });
  }

  /** Begins to follow the consensus and the state machine. After both were started or before, but once. */
  start(): void {
    const { consensus, machine } = this.#options;
    this.#unsubscribe = [
      machine.observe({
        applied: (entry) => this.#applied(entry),
        termStarted: (term) => {
          this.#lastTermStarted = term;
          this.#maybeBegin();
        },
      }),
      consensus.onRoleChanged((change) => this.#roleChanged(change)),
    ];
    const { role, term, leader } = consensus.status();
    this.#roleChanged({ role, term, leader });
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    this.#end('this server is being stopped');
  }

  /** A worker has dialed this server. */
  acceptLink(connection: WorkerLink): void {
    this.#links.accept(connection);
  }

  /** Whether this server leads and has applied everything of earlier leads. */
  get leading(): boolean {
    return this.#lead !== null;
  }

  #roleChanged(change: RoleChange): void {
    const { clock, nodeId, writeLine } = this.#options;
    const before = this.#role;
    this.#role = change;
    const wasLeader = before?.role === 'leader';
    if (wasLeader && (change.role !== 'leader' || change.term !== before.term)) {
      this.#end('this server is not the master any more');
    }
    if (change.role === 'leader') {
      if (!wasLeader || change.term !== before.term) this.#electedAtMs = clock.nowMs();
      this.#followed = null;
      this.#maybeBegin();
      return;
    }
    // Nobody campaigns on its own while it hears of a leader; after an orderly transfer nobody has to.
    if (change.role === 'preCandidate' && this.#followed !== null) {
      this.#followed = null;
      writeLine(LINES.leaderCrashed);
    }
    if (change.leader !== null && change.leader !== nodeId) this.#followed = change.leader;
  }

  /** Once elected and once the first entry of the own term is applied: nothing of earlier terms can follow. */
  #maybeBegin(): void {
    const role = this.#role;
    if (this.#lead !== null || role?.role !== 'leader' || role.term !== this.#lastTermStarted) return;
    const { consensus, machine, clock, writeLine, log } = this.#options;
    const { state } = machine;
    const batcher = new OpBatcher({
      ...{ consensus, clock, stateClock: () => machine.state.clock },
      isUnderstood: (op) => isUnderstoodAt(machine.state.version, op),
      extra: (ops, max) => this.#placer.assign(ops, max),
    });
    const isKept = (task: string): boolean => {
      const { tasks } = machine.state;
      return tasks.get(task) !== undefined || tasks.archive.findId(task) !== 0;
    };
    const heartbeats = new Heartbeats(consensus, clock, isKept, () => this.#links.servers());
    const lead: Lead = { term: role.term, batcher, heartbeats };
    this.#lead = lead;
    this.#placer.reset(this.#electedAtMs);
    this.fleet.clear();
    for (const record of state.nodes.values()) {
      const node = this.fleet.put(record, this.#electedAtMs);
      for (const id of state.tasks.onNode(record.id)) {
        const task = state.tasks.get(id);
        if (task !== undefined) this.#occupy(task, null);
      }
      node.leaseFromMs = this.#electedAtMs;
    }
    writeLine(LINES.isMaster);
    log.info(`leads since term ${role.term}, ${state.tasks.liveCount} tasks are not done yet`);
    this.#links.begin(lead);
    this.#duties.begin(lead);
    batcher.kick();
  }

  #end(reason: string): void {
    const lead = this.#lead;
    this.#lead = null;
    this.#duties.end();
    this.#links.end(reason);
    lead?.batcher.close();
    this.fleet.clear();
  }

  #applied(entry: AppliedEntry): void {
    for (const task of entry.tasks) if (task.status === 'succeeded') this.fleet.learn(task);
    const lead = this.#lead;
    if (lead === null) return;
    for (const event of entry.events) {
      if (event.kind !== 'node') continue;
      const record = this.#options.machine.state.nodes.get(event.id);
      if (record !== undefined) this.fleet.put(record, this.#options.clock.nowMs());
      lead.batcher.kick();
    }
    for (const task of entry.tasks) this.#taskChanged(lead, task, entry);
  }

  #taskChanged(lead: Lead, task: TaskRecord, entry: AppliedEntry): void {
    const last = task.attempts.at(-1);
    if (task.submitIndex === entry.index && task.timeline.length === 0) {
      this.#options.writeLine(LINES.receivedPayload(task.id));
    }
    switch (task.status) {
      case 'assigned':
      case 'running':
        if (last?.token === entry.index && task.status === 'assigned') {
          this.#placer.inForce(task.id);
          this.#occupy(task, this.#options.clock.nowMs());
          this.#links.run(task);
        } else if (task.timeline.at(-1)?.what === 'cancel_requested') {
          this.#links.kill(task);
        }
        return;
      case 'scheduled':
      case 'queued':
      case 'succeeded':
      case 'failed':
      case 'timed_out':
      case 'canceled':
        if (last !== undefined && endedNow(task)) {
          this.fleet.get(last.node)?.vacate(task.id, last.token);
          this.#writeResultLines(task, last.outcome);
        }
        lead.batcher.kick();
    }
  }

  #occupy(task: TaskRecord, nowMs: number | null): void {
    const attempt = currentAttempt(task);
    if (attempt === null) return;
    const { cpu = 0, memoryMb = 0 } = task.spec;
    this.fleet.get(attempt.node)?.occupy(task.id, attempt.token, cpu, memoryMb, nowMs);
  }

  #writeResultLines(task: TaskRecord, outcome: string | null): void {
    if (outcome === null || !(FINAL_STATUSES as readonly string[]).includes(outcome)) return;
    const { writeLine, clientPortDefault } = this.#options;
    writeLine(LINES.receivedResult(task.id));
    if (isFinal(task.status)) writeLine(LINES.sentToClient(task.id, task.clientPort ?? clientPortDefault));
  }

  /** @throws ApiError NO_LEADER or NO_QUORUM if this server can't decide anything now. */
  #leadOrThrow(): Lead {
    const { consensus } = this.#options;
    if (!consensus.quorumReachable()) {
      throw new ApiError('NO_QUORUM', 'no majority of the servers can be reached', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    if (this.#lead === null) {
      throw noLead('this server is not the master');
    }
    return this.#lead;
  }

  /**
   * Proposes tasks that are to be decided together, as one op (`text` is its JSON).
   * @throws ApiError NO_LEADER, NO_QUORUM, QUEUE_FULL, UNKNOWN_OUTCOME
   */
  async submit(op: Extract<Op, { op: 'submit' | 'stage' }>, text: string): Promise<OpResult> {
    const lead = this.#leadOrThrow();
    this.#admit(lead, op.tasks.length);
    this.#submitting += op.tasks.length;
    try {
      return await this.#wish(lead, op, text);
    } finally {
      this.#submitting -= op.tasks.length;
      if (op.op === 'submit') this.#placer.submitDecided(op.tasks);
    }
  }

  #admit(lead: Lead, count: number): void {
    const waiting = this.#options.machine.state.tasks.liveCount + this.#submitting;
    const max = this.#options.queuedTasksMax ?? LIMITS.queuedTasksMax;
    if (waiting + count <= max && !lead.batcher.full) return;
    const message = lead.batcher.full
      ? 'too much is waiting to be written to the log'
      : `${waiting} tasks are not done yet, the limit is ${max}`;
    throw new ApiError('QUEUE_FULL', message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  /**
   * Proposes what somebody asked for and returns what became of it.
   * @throws ApiError NO_LEADER, NO_QUORUM, QUEUE_FULL, UNKNOWN_OUTCOME
   */
  async propose(op: Exclude<Op, { op: 'submit' | 'stage' }>): Promise<OpResult> {
    return this.#wish(this.#leadOrThrow(), op);
  }

  async #wish(lead: Lead, op: Op, text?: string): Promise<OpResult> {
    const outcome = await new Promise<OpOutcome>((resolve) => lead.batcher.add(op, resolve, text));
    switch (outcome.kind) {
      case 'applied':
        return outcome.result;
      case 'notLeader':
        throw noLead('this server lost the lead');
      case 'overloaded':
        // There is room; another server is about to be the one to ask.
        if (outcome.limit === TRANSFERRING) throw noLead('this server is handing over the lead');
        throw new ApiError('QUEUE_FULL', `the log takes no more now: ${outcome.limit}`, {
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        });
      case 'notUnderstood':
        throw new ApiError(
          'UNAVAILABLE',
          'not every server is known to understand this yet: upgrade all of them, and have each seen once (docs/operations.md, "Upgrading")',
        );
      case 'unknown':
        throw new ApiError(
          'UNKNOWN_OUTCOME',
          `it may or may not have been accepted (${outcome.reason}); repeat it with the same idempotency key`,
        );
    }
  }

  /** What a queued task waits for, as far as this server knows; null where it is not the master. */
  pendingReason(task: TaskRecord): string | null {
    return this.#lead === null ? null : this.#placer.pendingReason(task);
  }

  /** The nodes that could be given a task that asks for nothing special, whether or not a slot is free. */
  eligibleNodes(): ReadonlySet<string> {
    const { leaderExecutes, clock } = this.#options;
    if (this.#lead === null) return new Set();
    this.fleet.refresh(clock.nowMs());
    const able = this.fleet.all().filter((node) => node.unable === null);
    const others = able.filter((node) => !node.isMaster);
    const withMaster = leaderExecutes === 'always' || (leaderExecutes === 'fallback' && others.length === 0);
    return new Set((withMaster ? able : others).map((node) => node.id));
  }
}

/** Nothing was done: whoever asked may ask the next master. */
function noLead(message: string): ApiError {
  return new ApiError('NO_LEADER', message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/** Whether the entry that made this record ended the task's last attempt. */
function endedNow(task: TaskRecord): boolean {
  for (let at = task.timeline.length - 1; at >= 0; at -= 1) {
    const event = task.timeline[at];
    if (event?.index !== task.index) return false;
    if (event.attempt === task.attemptNumber && ENDINGS.has(event.what)) return true;
  }
  return false;
}

const ENDINGS: ReadonlySet<string> = new Set(['finished', 'canceled', 'lost']);
