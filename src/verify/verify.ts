/**
 * Checks the promises (docs/verify.md) on what servers show of themselves: each one's log against itself, its tasks against its
 * log, and the servers against each other. It shares no code with the state machine whose work it checks.
 */
import type { AuditHead, AuditLine, AuditTask } from '../api/audit.ts';
import { isFinal, TASK_STATUSES } from '../api/tasks.ts';
import type { TaskStatus } from '../api/tasks.ts';
import { checkAccepted } from './accepted.ts';
import { Findings } from './checks.ts';
import type { Violation } from './checks.ts';
import { LogAudit, LogUnion } from './log-audit.ts';
import { TaskAudit } from './task-audit.ts';

/** One server, or one data folder. */
export interface AuditSource {
  /** How it is called where it can't say so itself. */
  readonly name: string;
  /** @throws whatever keeps it from being read: it counts as not reachable */
  lines(): AsyncIterable<AuditLine>;
}

export interface AuditedServer {
  readonly name: string;
  readonly head: AuditHead;
  /** The kept log. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly tasks: number;
  readonly openTasks: number;
  /** Finished tasks that retention had dropped at the end of the reading. */
  readonly retiredCount: number;
}

export interface VerifyReport {
  readonly servers: readonly AuditedServer[];
  readonly unreachable: readonly { readonly name: string; readonly error: unknown }[];
  readonly findings: Findings;
  readonly violations: readonly Violation[];
}

/** The answer of a source ended too early, or is not what it should be. */
export class AuditFormatError extends Error {
  readonly code = 'AUDIT_FORMAT';
}

/** Reads the sources one after the other, so that memory holds the log of one of them at a time. */
export async function verify(
  sources: readonly AuditSource[],
  onServer: (server: AuditedServer) => void = () => undefined,
): Promise<VerifyReport> {
  const findings = new Findings();
  const shared: Shared = { findings, log: new LogUnion(), tasks: new Map(), leaders: new Map() };
  const servers: AuditedServer[] = [];
  const unreachable: { readonly name: string; readonly error: unknown }[] = [];
  for (const source of sources) {
    try {
      const server = await auditServer(source, shared, servers.length);
      servers.push(server);
      onServer(server);
    } catch (error) {
      if (!isDamage(error)) {
        unreachable.push({ name: source.name, error });
        continue;
      }
      findings.expect(false, 'disk', () => ({
        ...{ server: source.name, task: null, index: null },
        message: error.message,
      }));
    }
  }
  compareServers(shared, servers);
  return { servers, unreachable, findings, violations: findings.violations };
}

/** What is stored was found to be damaged: that is a finding, not a failure to look. */
function isDamage(error: unknown): error is Error {
  return error instanceof Error && (error as { readonly code?: unknown }).code === 'STORAGE_CORRUPT';
}

/** What is known of a task from the servers read so far. */
interface SharedTask {
  readonly index: number;
  readonly submitIndex: number;
  readonly finishNumber: number | null;
  readonly digest: string;
  readonly server: AuditedIndex;
  /** Which servers have it: bit by place in the list. */
  seenBits: number;
}

interface AuditedIndex {
  readonly name: string;
  readonly appliedIndex: number;
}

interface Shared {
  readonly findings: Findings;
  readonly log: LogUnion;
  readonly tasks: Map<string, SharedTask>;
  /** Leader of a term, by which server says so. */
  readonly leaders: Map<number, { readonly leader: string; readonly server: string }>;
}

async function auditServer(source: AuditSource, shared: Shared, place: number): Promise<AuditedServer> {
  const run = new ServerAudit(shared, place);
  for await (const line of source.lines()) run.take(line);
  return run.end();
}

/** Takes the lines of one server, in their order. */
class ServerAudit {
  readonly #shared: Shared;
  readonly #place: number;
  #head: AuditHead | null = null;
  #log: LogAudit | null = null;
  #tasks: TaskAudit | null = null;
  readonly #ids = new Set<string>();
  readonly #idByKey = new Map<string, string>();
  readonly #counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<
    TaskStatus,
    number
  >;
  readonly #resultTokens = new Map<string, AuditTask['attempts']>();
  #openTasks = 0;
  #entries = 0;
  #retiredCount = 0;
  #ended = false;

  constructor(shared: Shared, place: number) {
    this.#shared = shared;
    this.#place = place;
  }

  take(line: AuditLine): void {
    if (line.kind === 'head') {
      this.#begin(line);
      return;
    }
    const head = this.#head;
    const log = this.#log;
    if (head === null || log === null || this.#ended) throw new AuditFormatError('lines are out of order');
    switch (line.kind) {
      case 'log':
        log.add(line);
        this.#entries += line.entries.length;
        this.#shared.findings.examined('disk');
        for (const entry of line.entries) {
          if (entry.index <= head.commitIndex)
            this.#shared.log.compare(this.#shared.findings, head.node, entry);
        }
        break;
      case 'damage':
        this.#shared.findings.expect(false, 'disk', () => ({
          server: head.node,
          task: null,
          index: null,
          message: line.message,
        }));
        break;
      case 'task':
        this.#take(head, log, line);
        break;
      case 'end':
        if (line.entries !== this.#entries || line.tasks !== this.#ids.size) {
          throw new AuditFormatError(
            `${line.entries} entries and ${line.tasks} tasks were announced, ${this.#entries} and ${this.#ids.size} came`,
          );
        }
        this.#retiredCount = line.retiredCount;
        this.#ended = true;
        break;
    }
  }

  #begin(head: AuditHead): void {
    if (this.#head !== null) throw new AuditFormatError('there is a second head');
    const { findings, leaders } = this.#shared;
    this.#head = head;
    this.#log = new LogAudit(head.node, findings);
    this.#tasks = new TaskAudit(head.node, findings, this.#log);
    if (head.leader === null) return;
    const known = leaders.get(head.term);
    findings.expect(known === undefined || known.leader === head.leader, 'leaders', () => ({
      server: head.node,
      task: null,
      index: null,
      message: `in term ${head.term} ${head.leader} leads, but ${known?.server ?? ''} says ${known?.leader ?? ''}`,
    }));
    leaders.set(head.term, { leader: head.leader, server: head.node });
  }

  #take(head: AuditHead, log: LogAudit, task: AuditTask): void {
    const { findings, tasks } = this.#shared;
    const where = { server: head.node, task: task.id, index: task.index };
    findings.expect(!this.#ids.has(task.id), 'final', () => ({
      ...where,
      message: 'there are two tasks with this id',
    }));
    this.#ids.add(task.id);
    this.#counts[task.status] += 1;
    if (!isFinal(task.status)) this.#openTasks += 1;
    if (task.key !== null) this.#checkKey(where, task.id, task.key);
    this.#tasks?.check(task);
    // To see whether results in the log are recorded; of older tasks the log has none.
    if (task.index >= log.firstIndex) this.#resultTokens.set(task.id, task.attempts);
    const known = tasks.get(task.id);
    const own = { name: head.node, appliedIndex: head.appliedIndex };
    if (known === undefined) {
      const { index, submitIndex, finishNumber, digest } = task;
      tasks.set(task.id, {
        index,
        submitIndex,
        finishNumber,
        digest,
        server: own,
        seenBits: 1 << this.#place,
      });
      return;
    }
    known.seenBits |= 1 << this.#place;
    // Each may have applied changes that the other has not reached yet.
    const reached = Math.min(own.appliedIndex, known.server.appliedIndex);
    if (task.index > reached || known.index > reached) return;
    findings.expect(task.digest === known.digest, 'tasks', () => ({
      ...where,
      message:
        `the record (last changed by entry ${task.index}) is another one than on ${known.server.name} ` +
        `(entry ${known.index})`,
    }));
  }

  #checkKey(where: { readonly server: string; readonly index: number }, id: string, key: string): void {
    const other = this.#idByKey.get(key);
    this.#shared.findings.expect(other === undefined, 'keys', () => ({
      ...where,
      task: id,
      message: `it was submitted under the same idempotency key as task ${other ?? ''}`,
    }));
    this.#idByKey.set(key, id);
  }

  end(): AuditedServer {
    const head = this.#head;
    const log = this.#log;
    if (head === null || log === null || !this.#ended)
      throw new AuditFormatError('the answer ended too early');
    const { findings } = this.#shared;
    const kept = { has: (id: string) => this.#ids.has(id), hasKey: (key: string) => this.#idByKey.has(key) };
    checkAccepted(findings, head.node, head, log, kept);
    this.#checkResults(head, log);
    this.#checkCounts(head);
    return {
      name: head.node,
      head,
      firstIndex: log.firstIndex,
      lastIndex: log.lastIndex,
      tasks: this.#ids.size,
      openTasks: this.#openTasks,
      retiredCount: this.#retiredCount,
    };
  }

  /** A result that reached the log ended its attempt, or came too late and is noted. */
  #checkResults(head: AuditHead, log: LogAudit): void {
    for (const [index, facts] of log.entries()) {
      if (index > head.appliedIndex) return;
      for (const fact of facts) {
        if (fact.op !== 'finish' || fact.task === undefined) continue;
        const { task } = fact;
        this.#shared.findings.expect(this.#ids.has(task) || this.#retiredCount > 0, 'results', () => ({
          server: head.node,
          task,
          index,
          message: `the log has a result of a task that is not kept`,
        }));
        const attempt = this.#resultTokens.get(fact.task)?.find(({ token }) => token === fact.token);
        if (attempt === undefined) continue;
        this.#shared.findings.expect(attempt.outcome !== null, 'results', () => ({
          server: head.node,
          task: fact.task ?? null,
          index,
          message: `the result of attempt ${attempt.number} on ${attempt.node} is in the log, the attempt has no outcome`,
        }));
      }
    }
  }

  #checkCounts(head: AuditHead): void {
    const isDropping = this.#retiredCount > head.retiredCount;
    const expected = head.submittedCount - head.retiredCount;
    this.#shared.findings.expect(isDropping || this.#ids.size === expected, 'counts', () => ({
      server: head.node,
      task: null,
      index: head.appliedIndex,
      message:
        `${head.submittedCount} tasks were submitted and ${head.retiredCount} dropped by retention, so ${expected} must be ` +
        `kept; ${this.#ids.size} are`,
    }));
    for (const status of TASK_STATUSES) {
      // Retention went on while the tasks were read.
      if (isDropping && isFinal(status)) continue;
      this.#shared.findings.expect(this.#counts[status] === head.counts[status], 'counts', () => ({
        server: head.node,
        task: null,
        index: head.appliedIndex,
        message: `${head.counts[status]} tasks are counted as ${status}, ${this.#counts[status]} are kept`,
      }));
    }
  }
}

/** What one server has and another one, which has applied as much, has not. */
function compareServers(shared: Shared, servers: readonly AuditedServer[]): void {
  for (const [id, task] of shared.tasks) {
    servers.forEach(({ name, head, retiredCount }, place) => {
      if ((task.seenBits & (1 << place)) !== 0) return;
      // Not submitted there yet, or dropped there by retention already.
      if (task.submitIndex > head.appliedIndex) return;
      if (task.finishNumber !== null && task.finishNumber <= retiredCount) return;
      if (task.finishNumber === null && retiredCount > 0 && task.server.appliedIndex < head.appliedIndex)
        return;
      shared.findings.expect(false, 'tasks', () => ({
        server: name,
        task: id,
        index: task.submitIndex,
        message: `it was submitted by entry ${task.submitIndex} and is on ${task.server.name}, but not on ${name}`,
      }));
    });
  }
}
