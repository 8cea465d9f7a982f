import { LINES } from '../../api/log.ts';
import type { WriteLine } from '../../api/log.ts';
import { SCHEDULE_LABEL } from '../../api/schedules.ts';
import { afterTime } from '../cron.ts';
import { taskIdOfTick } from '../ids.ts';
import { currentAttempt } from '../state/lifecycle.ts';
import { OP_VERSION_NEWEST } from '../state/op-versions.ts';
import type { ScheduleRecord } from '../state/schedule-table.ts';
import type { TaskMachine } from '../task-machine.ts';
import type { MasterClock, MasterLogger } from './clock.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import type { Lead, Links } from './links.ts';
import type { WorkerSession } from './worker-session.ts';

/** How often time is looked at. */
const TICK_MS = 50;
/** A gap between two ticks that means that this process stood still, and heartbeats wait unread in its sockets. */
const STALL_MS = 1_000;
/** After such a gap nobody is declared lost for so long. */
const STALL_GRACE_MS = 1_000;
/** How often finished tasks are looked through for some that are old enough to go. */
const RETENTION_CHECK_MS = 10_000;
/** After an outage all schedules may be due at once; what is computed for them must not hold up heartbeats. */
const SCHEDULES_PER_TICK_MAX = 8;

export interface DutiesOptions {
  readonly machine: TaskMachine;
  readonly fleet: Fleet;
  readonly clock: MasterClock;
  readonly writeLine: WriteLine;
  readonly log: MasterLogger;
  readonly links: Links;
  /** The newest version of the protocol that every server speaks. */
  readonly commonVersion: () => number;
  readonly lostAfterMs: number;
  readonly retention: { readonly ageMs: number; readonly tasksMax: number };
}

/** What the master does because time passes: leases, tasks that are due, deadlines of drains, retention. */
export class Duties {
  readonly #options: DutiesOptions;
  #lead: Lead | null = null;
  #cancelTick: (() => void) | null = null;
  #lastTickMs = 0;
  #graceUntilMs = 0;
  #duePending = false;
  #retirePending = false;
  #versionPending = false;
  /** Schedules of which a time is on its way into the log. */
  #ticking = new Set<string>();
  #nextRetentionMs = 0;
  /** Attempts ended because of a drain: each is told once per link. */
  #drained = new Map<string, { readonly token: number; readonly session: WorkerSession }>();

  constructor(options: DutiesOptions) {
    this.#options = options;
  }

  begin(lead: Lead): void {
    const nowMs = this.#options.clock.nowMs();
    this.#lead = lead;
    this.#lastTickMs = nowMs;
    this.#graceUntilMs = nowMs;
    this.#duePending = false;
    this.#retirePending = false;
    this.#versionPending = false;
    this.#ticking = new Set();
    this.#nextRetentionMs = nowMs;
    this.#drained = new Map();
    this.#scheduleTick();
  }

  end(): void {
    this.#lead = null;
    this.#cancelTick?.();
    this.#cancelTick = null;
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => {
      const lead = this.#lead;
      if (lead === null) return;
      this.#scheduleTick();
      this.#tick(lead);
    });
  }

  #tick(lead: Lead): void {
    const { clock, machine } = this.#options;
    const { state } = machine;
    const nowMs = clock.nowMs();
    if (nowMs - this.#lastTickMs > STALL_MS) this.#graceUntilMs = nowMs + STALL_GRACE_MS;
    this.#lastTickMs = nowMs;
    const stateTime = Math.max(state.clock, Math.round(clock.wallMs()));
    if (nowMs >= this.#graceUntilMs) this.#checkLeases(lead, nowMs);
    this.#checkDue(lead, stateTime);
    const schedules = state.schedules.due(stateTime).filter(({ id }) => !this.#ticking.has(id));
    for (const schedule of schedules.slice(0, SCHEDULES_PER_TICK_MAX))
      this.#tickSchedule(lead, schedule, stateTime);
    this.#checkDrains(stateTime);
    this.#checkVersion(lead);
    if (nowMs >= this.#nextRetentionMs) this.#checkRetention(lead, nowMs, stateTime);
    if (state.tasks.queue.size > 0) lead.batcher.kick();
  }

  #checkLeases(lead: Lead, nowMs: number): void {
    for (const node of this.#options.fleet.all()) {
      if (!node.record.up || node.declaringDown) continue;
      const silentMs = nowMs - node.leaseFromMs;
      if (silentMs >= this.#options.lostAfterMs) this.#declareLost(lead, node, silentMs);
    }
  }

  #declareLost(lead: Lead, node: FleetNode, silentMs: number): void {
    const { links, log, writeLine } = this.#options;
    node.declaringDown = true;
    links.dropNode(node);
    const reason = `nothing was heard of it for ${Math.round(silentMs / 100) / 10} s`;
    lead.batcher.addDuty({ op: 'nodeDown', node: node.id, reason }, (outcome) => {
      node.declaringDown = false;
      if (outcome.kind !== 'applied') return;
      log.warn(`${node.id} is lost: ${reason}`);
      writeLine(LINES.workerCrashed);
    });
  }

  /** Once every server was seen to be new enough, the log says so; then what only they understand may follow. */
  #checkVersion(lead: Lead): void {
    const { commonVersion, machine, log } = this.#options;
    const version = Math.min(commonVersion(), OP_VERSION_NEWEST);
    if (this.#versionPending || version <= machine.state.version) return;
    this.#versionPending = true;
    lead.batcher.addDuty({ op: 'version', version }, (outcome) => {
      this.#versionPending = false;
      if (outcome.kind === 'applied') log.info(`every server understands version ${version} of the protocol`);
    });
  }

  #checkDue(lead: Lead, stateTime: number): void {
    if (this.#duePending) return;
    const next = this.#options.machine.state.tasks.nextDueAt();
    if (next === null || next > stateTime) return;
    this.#duePending = true;
    lead.batcher.addDuty({ op: 'due' }, () => (this.#duePending = false));
  }

  /** One task for each time; of several that passed without a master, one for all. */
  #tickSchedule(lead: Lead, schedule: ScheduleRecord, stateTime: number): void {
    const { id, cron, tz, spec, nextAt: time } = schedule;
    const ticking = this.#ticking;
    if (time === null) return;
    ticking.add(id);
    const { nextAt, missed } = afterTime(cron, tz, time, stateTime);
    const labels = { ...spec.labels, [SCHEDULE_LABEL]: id };
    const task = { id: taskIdOfTick(id, time), spec: { ...spec, labels } };
    lead.batcher.addDuty({ op: 'scheduleTick', schedule: id, time, nextAt, missed, task }, () =>
      ticking.delete(id),
    );
  }

  /** Ends what still runs on a node after its drain's deadline; the node reports it, and it is queued again. */
  #checkDrains(stateTime: number): void {
    const { fleet, machine, links } = this.#options;
    const { state } = machine;
    for (const { record, session } of fleet.all()) {
      if (session === null || record.drainUntil === null || record.drainUntil > stateTime) continue;
      for (const id of state.tasks.onNode(record.id)) {
        const task = state.tasks.get(id);
        const attempt = task === undefined ? null : currentAttempt(task);
        if (task === undefined || attempt === null) continue;
        const told = this.#drained.get(id);
        if (told?.token === attempt.token && told.session === session) continue;
        this.#drained.set(id, { token: attempt.token, session });
        links.kill(task);
      }
    }
    for (const id of this.#drained.keys()) if (state.tasks.get(id) === undefined) this.#drained.delete(id);
  }

  #checkRetention(lead: Lead, nowMs: number, stateTime: number): void {
    this.#nextRetentionMs = nowMs + RETENTION_CHECK_MS;
    if (this.#retirePending) return;
    const { machine, retention } = this.#options;
    const { archive } = machine.state.tasks;
    const through = archive.retireThrough(stateTime - retention.ageMs, retention.tasksMax);
    if (through === 0) return;
    this.#retirePending = true;
    lead.batcher.addDuty({ op: 'retire', through }, () => {
      this.#retirePending = false;
      // One op drops a bounded number; the rest follows at once.
      if (archive.counters().retiredThrough < through) this.#nextRetentionMs = nowMs;
    });
  }
}
