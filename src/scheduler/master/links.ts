import { LINES } from '../../api/log.ts';
import type { WriteLine } from '../../api/log.ts';
import type { Consensus } from '../../raft/consensus.ts';
import { LINK_VERSION } from '../../link/protocol.ts';
import type { AttemptRef, WorkerToMaster } from '../../link/protocol.ts';
import { currentAttempt } from '../state/lifecycle.ts';
import { LOSSES_COUNT_SINCE } from '../state/op-versions.ts';
import type { ApplyResult } from '../state/ops.ts';
import type { NodeRegistration, TaskRecord } from '../state/records.ts';
import type { TaskMachine } from '../task-machine.ts';
import type { MasterClock, MasterLogger } from './clock.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { OpBatcher, OpOutcome } from './op-batcher.ts';
import { runSpecOf } from './run-spec.ts';
import { WorkerSession } from './worker-session.ts';
import type { WorkerLink } from './worker-session.ts';

/** Open links; beyond it new ones are closed. */
const SESSIONS_MAX = 4_096;
/** A hello is looked into again when something about its node was on its way into the log meanwhile. */
const GREETING_ROUNDS_MAX = 5;

type Hello = Extract<WorkerToMaster, { kind: 'hello' }>;

/** Of one lead: a new one is made when this server becomes the master again. */
export interface Lead {
  readonly term: number;
  readonly batcher: OpBatcher;
  readonly heartbeats: Heartbeats;
}

export interface LinksOptions {
  readonly nodeId: string;
  readonly consensus: Consensus<ApplyResult>;
  readonly machine: TaskMachine;
  readonly fleet: Fleet;
  readonly clock: MasterClock;
  readonly writeLine: WriteLine;
  readonly log: MasterLogger;
  readonly serverAddress: (id: string) => string | null;
  readonly lostAfterMs: number;
}

/** The master's ends of the links to all workers (src/link/protocol.ts). On any other server it only redirects. */
export class Links {
  readonly #options: LinksOptions;
  readonly #sessions = new Set<WorkerSession>();
  /** Hellos that came after the election and before its first entry was applied. */
  #early: { readonly session: WorkerSession; readonly hello: Hello; readonly receivedMs: number }[] = [];
  #lead: Lead | null = null;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  begin(lead: Lead): void {
    this.#lead = lead;
    const early = this.#early;
    this.#early = [];
    for (const { session, hello, receivedMs } of early) {
      if (session.open) this.#greet(lead, session, hello, receivedMs);
    }
  }

  /** Not the master (any more): every worker has to look for the new one. */
  end(reason: string): void {
    this.#lead = null;
    this.#early = [];
    for (const session of this.#sessions) session.close(reason);
    this.#sessions.clear();
  }

  accept(connection: WorkerLink): void {
    if (this.#sessions.size >= SESSIONS_MAX) {
      connection.close();
      return;
    }
    const session = new WorkerSession(connection);
    this.#sessions.add(session);
    connection.onClose = (reason) => this.#closed(session, reason);
    connection.onMessage = (message) => this.#received(session, message);
  }

  #closed(session: WorkerSession, reason: string): void {
    session.closed(reason);
    this.#sessions.delete(session);
    const node = session.node === null ? undefined : this.#options.fleet.get(session.node);
    if (node?.session === session) node.session = null;
  }

  #close(session: WorkerSession, reason: string): void {
    session.close(reason);
    this.#closed(session, reason);
  }

  #received(session: WorkerSession, message: WorkerToMaster): void {
    if (!session.open) return;
    if (message.kind === 'hello') {
      this.#hello(session, message);
      return;
    }
    const lead = this.#lead;
    const node = session.node === null ? undefined : this.#options.fleet.get(session.node);
    // Nothing else counts before the welcome: the worker does not know yet what is still its own.
    if (lead === null || node?.session !== session) return;
    switch (message.kind) {
      case 'heartbeat': {
        node.lastSeenWallMs = this.#options.clock.wallMs();
        if (message.sample !== null) node.sampled(message.sample, this.#options.clock.nowMs());
        lead.heartbeats.received(node, session, message.seq, message.kept);
        return;
      }
      case 'started':
        this.#started(lead, session, { task: message.task, token: message.token });
        return;
      case 'finished':
        this.#finished(lead, session, node, message);
        return;
      case 'released':
        this.#released(lead, session, node, message);
        return;
      case 'output':
      case 'outputError':
        session.answered(message);
        return;
      case 'goodbye':
        this.#goodbye(lead, session, node);
        return;
    }
  }

  #hello(session: WorkerSession, hello: Hello): void {
    const { consensus, clock, nodeId, serverAddress } = this.#options;
    if (session.node !== null) {
      this.#close(session, 'a second hello');
      return;
    }
    session.node = hello.node;
    session.instance = hello.instance;
    const lead = this.#lead;
    if (lead !== null) {
      this.#greet(lead, session, hello, clock.nowMs());
      return;
    }
    const { role, leader } = consensus.status();
    if (role === 'leader') {
      this.#early.push({ session, hello, receivedMs: clock.nowMs() });
      return;
    }
    const leaderAddress = leader === null ? null : serverAddress(leader);
    session.send({ kind: 'redirect', self: nodeId, leader, leaderAddress });
    this.#close(session, 'redirected');
  }

  #greet(lead: Lead, session: WorkerSession, hello: Hello, receivedMs: number): void {
    const refusal = this.#whyRefused(hello);
    if (refusal !== null) {
      this.#options.log.warn(`refused ${hello.node} (${hello.address}): ${refusal}`);
      session.send({ kind: 'refuse', self: this.#options.nodeId, reason: refusal });
      this.#close(session, refusal);
      return;
    }
    // An older link of the same process is of no use to it any more.
    const older = this.#options.fleet.get(hello.node)?.session;
    if (older != null && older !== session) this.#close(older, 'replaced by a newer connection');
    this.#register(lead, session, hello, receivedMs).catch((error: unknown) => {
      this.#close(session, error instanceof Error ? error.message : String(error));
    });
  }

  #whyRefused(hello: Hello): string | null {
    const { fleet, clock, lostAfterMs } = this.#options;
    if (hello.version !== LINK_VERSION) {
      return `it speaks version ${hello.version} of the link, this server version ${LINK_VERSION}`;
    }
    const node = fleet.get(hello.node);
    if (node?.record.up === true && node.record.instance !== hello.instance) {
      const fresh = clock.nowMs() - node.leaseFromMs < lostAfterMs;
      if (fresh)
        return `another node with the id ${hello.node} is (or was a moment ago) here: ${node.record.address}`;
    }
    return null;
  }

  /**
   * Brings the log up to date with the hello, then answers it. What the state says of the node's attempts is judged only
   * after a read barrier (a deposed master must not kill what its successor assigned) and with nothing about them on
   * its way into the log.
   */
  async #register(lead: Lead, session: WorkerSession, hello: Hello, receivedMs: number): Promise<void> {
    const { consensus, machine, clock, lostAfterMs, fleet } = this.#options;
    for (let round = 0; round < GREETING_ROUNDS_MAX; round += 1) {
      await lead.batcher.settled();
      const barrier = await consensus.readBarrier();
      if (!this.#stillGreeting(lead, session)) return;
      if (barrier.kind !== 'ready') break;
      // What is being put into the log now was added while the barrier was waited for.
      if (fleet.get(hello.node)?.declaringDown === true) continue;
      const record = machine.state.nodes.get(hello.node);
      if (record?.up === true && sameRegistration(record, hello)) {
        if (clock.nowMs() - receivedMs < lostAfterMs) this.#welcome(lead, session, hello, receivedMs);
        else break;
        return;
      }
      const outcome = await this.#nodeUp(lead, hello);
      if (!this.#stillGreeting(lead, session)) return;
      if (outcome.kind === 'applied' && outcome.result.kind === 'refused') {
        const reason = outcome.result.message;
        session.send({ kind: 'refuse', self: this.#options.nodeId, reason });
        this.#close(session, reason);
        return;
      }
    }
    this.#close(session, 'could not be registered now');
  }

  /** host:port of every server there is now. */
  servers(): readonly string[] {
    const { consensus, serverAddress } = this.#options;
    const { voters, learners } = consensus.status().config;
    return [...voters, ...learners].map(serverAddress).filter((address) => address !== null);
  }

  #stillGreeting(lead: Lead, session: WorkerSession): boolean {
    return this.#lead === lead && session.open;
  }

  #nodeUp(lead: Lead, hello: Hello): Promise<OpOutcome> {
    const { node, role, address, slots, cpus, memoryMb, labels, instance } = hello;
    const registration: NodeRegistration = {
      ...{ id: node, role, address, slots, cpus, memoryMb, labels, instance },
    };
    return new Promise((resolve) => lead.batcher.addDuty({ op: 'nodeUp', node: registration }, resolve));
  }

  #welcome(lead: Lead, session: WorkerSession, hello: Hello, receivedMs: number): void {
    const { fleet, machine, clock, nodeId, log } = this.#options;
    const { state } = machine;
    const record = state.nodes.get(hello.node);
    if (record === undefined) throw new Error(`node ${hello.node} is registered and not in the state`);
    const node = fleet.put(record, receivedMs);
    const other = node.session;
    if (other !== null && other !== session) this.#close(other, 'replaced by a newer connection');
    node.session = session;
    node.leaving = hello.leaving;
    node.leaseFromMs = Math.max(node.leaseFromMs, receivedMs);
    node.lastSeenWallMs = clock.wallMs();
    if (hello.sample !== null) node.sampled(hello.sample, clock.nowMs());
    session.welcomed = true;
    const held = new Set(hello.held.map(nameOf));
    const servers = session.serversToTell(this.servers());
    session.send({
      kind: 'welcome',
      ...(servers === null ? {} : { servers }),
      leader: nodeId,
      term: lead.term,
      verdicts: hello.held.map(({ task, token, state: heldState }) => ({
        task,
        token,
        // What has ended is to be delivered in any case: if it is not current, it is noted as superseded.
        verdict: heldState === 'ended' || this.#isCurrent(node, { task, token }) ? 'keep' : 'kill',
      })),
    });
    for (const ref of hello.held) {
      // It kills these now; who looks at the task is to see what became of them.
      if (ref.state === 'running' && !this.#isCurrent(node, ref)) {
        lead.batcher.addDuty({ op: 'supersede', task: ref.task, token: ref.token }, noMatter);
      }
    }
    log.info(`${hello.node} is connected (${hello.address}, ${hello.held.length} attempts held)`);
    for (const id of state.tasks.onNode(hello.node)) {
      const task = state.tasks.get(id);
      if (task !== undefined) this.#takeUp(lead, session, task, held);
    }
    lead.batcher.kick();
  }

  /** Brings the worker and the log to agree on an attempt that the log says is on this node. */
  #takeUp(lead: Lead, session: WorkerSession, task: TaskRecord, held: ReadonlySet<string>): void {
    const attempt = currentAttempt(task);
    if (attempt === null) return;
    const ref: AttemptRef = { task: task.id, token: attempt.token };
    if (held.has(nameOf(ref))) {
      if (task.cancelRequested) session.send({ kind: 'kill', ...ref, why: 'canceled' });
    } else if (task.status === 'assigned' && !task.cancelRequested) {
      this.run(task);
    } else {
      const reason = `${attempt.node} does not have it any more`;
      lead.batcher.addDuty({ op: 'lost', ...ref, reason }, noMatter);
    }
  }

  #isCurrent(node: FleetNode, ref: AttemptRef): boolean {
    const task = this.#options.machine.state.tasks.get(ref.task);
    const attempt = task === undefined ? null : currentAttempt(task);
    return attempt?.token === ref.token && attempt.node === node.id;
  }

  /** The task has just been assigned. If its node is not connected it gets the task with its next welcome. */
  run(task: TaskRecord): void {
    const attempt = currentAttempt(task);
    const node = attempt === null ? undefined : this.#options.fleet.get(attempt.node);
    if (attempt === null || node === undefined || node.session === null) return;
    const { token, number } = attempt;
    node.session.send({ kind: 'run', task: task.id, token, number, spec: runSpecOf(task.spec) });
    this.#options.writeLine(LINES.sentForExecution(task.id, node.port));
  }

  /** Its node is to end it and to report it as canceled. */
  kill(task: TaskRecord): void {
    const attempt = currentAttempt(task);
    if (attempt === null) return;
    const session = this.#options.fleet.get(attempt.node)?.session;
    session?.send({ kind: 'kill', task: task.id, token: attempt.token, why: 'canceled' });
  }

  /** The node was declared lost: whatever it says from now on begins with a hello. */
  dropNode(node: FleetNode): void {
    if (node.session !== null) this.#close(node.session, 'its lease has run out');
  }

  #started(lead: Lead, session: WorkerSession, ref: AttemptRef): void {
    lead.batcher.addLazyDuty({ op: 'start', ...ref }, (decided) => {
      if (decided.kind !== 'applied') return;
      const { kind } = decided.result;
      if (kind === 'superseded' || kind === 'refused')
        session.send({ kind: 'kill', ...ref, why: 'superseded' });
    });
  }

  #finished(
    lead: Lead,
    session: WorkerSession,
    node: FleetNode,
    message: Extract<WorkerToMaster, { kind: 'finished' }>,
  ): void {
    const { task, token, outcome, runMs, result, contents } = message;
    // No process of it is left, so its slot is free before the log says so.
    node.vacate(task, token);
    const reason = message.reason ?? this.#whyEnded(node, task, outcome === 'canceled');
    const files = contents === undefined ? {} : { contents };
    const op = { op: 'finish', task, token, outcome, reason, runMs, result, ...files } as const;
    lead.batcher.addDuty(op, (decided) => {
      if (decided.kind !== 'applied') return;
      const accepted = decided.result.kind === 'done' || decided.result.kind === 'duplicate';
      session.send({ kind: 'recorded', task, token, accepted });
    });
  }

  /** Why the master had a task ended that nobody asked to cancel. */
  #whyEnded(node: FleetNode, task: string, canceled: boolean): string | null {
    const asked = this.#options.machine.state.tasks.get(task)?.cancelRequested === true;
    return canceled && !asked && node.record.draining ? `node ${node.id} was drained` : null;
  }

  #released(
    lead: Lead,
    session: WorkerSession,
    node: FleetNode,
    message: Extract<WorkerToMaster, { kind: 'released' }>,
  ): void {
    const { task, token, reason, fault } = message;
    const counts = this.#options.machine.state.version >= LOSSES_COUNT_SINCE;
    node.vacate(task, token);
    const op = {
      op: 'release',
      task,
      token,
      reason,
      ...(fault === true && counts ? { fault } : {}),
    } as const;
    lead.batcher.addDuty(op, (decided) => {
      if (decided.kind === 'applied') session.send({ kind: 'recorded', task, token, accepted: true });
    });
  }

  #goodbye(lead: Lead, session: WorkerSession, node: FleetNode): void {
    node.leaving = true;
    node.declaringDown = true;
    lead.batcher.addDuty({ op: 'nodeDown', node: node.id, reason: 'it was stopped in order' }, () => {
      node.declaringDown = false;
    });
    this.#close(session, 'goodbye');
  }
}

function nameOf(ref: AttemptRef): string {
  return `${ref.task} ${ref.token}`;
}

function noMatter(): void {
  // The state machine decides; whoever asked will see it in the state.
}

function sameRegistration(record: NodeRegistration, hello: Hello): boolean {
  return (
    record.instance === hello.instance &&
    record.address === hello.address &&
    record.role === hello.role &&
    record.slots === hello.slots &&
    record.cpus === hello.cpus &&
    record.memoryMb === hello.memoryMb &&
    sameLabels(record.labels, hello.labels)
  );
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
