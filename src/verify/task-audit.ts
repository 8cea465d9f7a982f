/** One task's record, checked by itself and against the log of the same server. */
import type { AuditAttempt, AuditFact, AuditTask } from '../api/audit.ts';
import { isFinal } from '../api/tasks.ts';
import type { CheckName, Findings } from './checks.ts';
import type { LogAudit } from './log-audit.ts';

type Step = AuditTask['timeline'][number];

export class TaskAudit {
  readonly #server: string;
  readonly #findings: Findings;
  readonly #log: LogAudit;

  constructor(server: string, findings: Findings, log: LogAudit) {
    this.#server = server;
    this.#findings = findings;
    this.#log = log;
  }

  check(task: AuditTask): void {
    this.#checkAttempts(task);
    for (const step of task.timeline) this.#checkStep(task, step);
    this.#checkFinal(task);
  }

  #expect(
    task: AuditTask,
    holds: boolean,
    check: CheckName,
    index: number | null,
    message: () => string,
  ): void {
    this.#findings.expect(holds, check, () => ({
      server: this.#server,
      task: task.id,
      index,
      message: message(),
    }));
  }

  /** One holder at a time, by the order of the log and by its clock. */
  #checkAttempts(task: AuditTask): void {
    const holds = task.status === 'assigned' || task.status === 'running';
    task.attempts.forEach((attempt, at) => {
      const isLast = at === task.attempts.length - 1;
      this.#expect(task, (attempt.outcome === null) === (isLast && holds), 'attempts', attempt.token, () =>
        attempt.outcome === null
          ? `attempt ${attempt.number} on ${attempt.node} never ended, but the task is ${task.status}` +
            (isLast ? '' : ' and has a later attempt')
          : `the task is ${task.status}, but its last attempt has ended as ${attempt.outcome}`,
      );
      const before = task.attempts[at - 1];
      if (before !== undefined) this.#checkOrder(task, before, attempt);
    });
  }

  #checkOrder(task: AuditTask, before: AuditAttempt, attempt: AuditAttempt): void {
    const names = `attempt ${attempt.number} on ${attempt.node}`;
    const inOrder =
      attempt.number > before.number && (task.timelineCut > 0 || attempt.number === before.number + 1);
    this.#expect(
      task,
      inOrder && attempt.token > before.token,
      'attempts',
      attempt.token,
      () => `${names} (token ${attempt.token}) follows attempt ${before.number} (token ${before.token})`,
    );
    if (before.finishedAt !== null && attempt.startedAt !== null) {
      const ended = before.finishedAt;
      const began = attempt.startedAt;
      this.#expect(
        task,
        began >= ended,
        'attempts',
        attempt.token,
        () =>
          `${names} began ${ended - began} ms before attempt ${before.number} on ${before.node} had ended`,
      );
    }
    const end = task.timeline.find(
      ([, what, , number]) =>
        number === before.number && (what === 'lost' || what === 'finished' || what === 'canceled'),
    );
    if (end === undefined && task.timelineCut > 0) return;
    this.#expect(task, end !== undefined && end[0] <= attempt.token, 'attempts', attempt.token, () =>
      end === undefined
        ? `${names} was assigned, but nothing says that attempt ${before.number} on ${before.node} had ended`
        : `${names} was assigned by entry ${attempt.token}, attempt ${before.number} on ${before.node} ended at entry ${end[0]}`,
    );
  }

  /** The entry that a step names must hold what made it. */
  #checkStep(task: AuditTask, step: Step): void {
    const [index, what, node, number] = step;
    const facts = this.#log.factsAt(index);
    if (facts === null) {
      // Of what lies before the kept log only the record is left.
      if (index >= this.#log.firstIndex && this.#log.firstIndex > 0) {
        this.#expect(
          task,
          false,
          'tokens',
          index,
          () => `${what} at entry ${index}, which the log does not have`,
        );
      }
      return;
    }
    const attempt = task.attempts.find((candidate) => candidate.number === number);
    if (number !== null && attempt === undefined) return;
    const cause = facts.some((fact) => causes(task, what, node, attempt, fact));
    this.#expect(
      task,
      cause,
      'tokens',
      index,
      () =>
        `entry ${index} is said to be where the task was ${what}` +
        (attempt === undefined
          ? ''
          : ` (attempt ${attempt.number} on ${attempt.node}, token ${attempt.token})`) +
        ', but nothing in it says so',
    );
  }

  #checkFinal(task: AuditTask): void {
    const steps = task.timeline.filter(([, what]) => what !== 'superseded');
    const last = steps.at(-1);
    const ends = last !== undefined && (last[1] === 'finished' || last[1] === 'canceled');
    if (!isFinal(task.status)) {
      this.#expect(
        task,
        task.finishedAt === null && task.finishNumber === null,
        'final',
        task.index,
        () => `the task is ${task.status} and yet among the finished ones`,
      );
      return;
    }
    this.#expect(
      task,
      ends && task.finishedAt !== null && task.finishNumber !== null,
      'final',
      task.index,
      () =>
        `the task is ${task.status}, but the last thing that happened to it is ${last?.[1] ?? 'its submission'}`,
    );
    this.#checkOnce(task, steps);
    if (last?.[1] === 'finished') this.#checkResult(task, last);
  }

  /** What ended an attempt and did not end the task must be followed by the next attempt, and only the last step ends the task. */
  #checkOnce(task: AuditTask, steps: readonly Step[]): void {
    if (task.timelineCut > 0) return;
    steps.forEach(([index, what], at) => {
      const next = steps[at + 1];
      if (next === undefined) return;
      const isEnd =
        what === 'canceled' || (what === 'finished' && next[1] !== 'retrying' && next[1] !== 'canceled');
      this.#expect(
        task,
        !isEnd,
        'final',
        index,
        () => `the task had ended (${what} at entry ${index}), and then ${next[1]} at entry ${next[0]}`,
      );
    });
  }

  #checkResult(task: AuditTask, [index, , , number]: Step): void {
    const attempt = task.attempts.find((candidate) => candidate.number === number);
    const facts = this.#log.factsAt(index);
    if (attempt === undefined || facts === null) return;
    const fact = facts.find(
      ({ op, task: id, token }) => op === 'finish' && id === task.id && token === attempt.token,
    );
    if (fact === undefined) return;
    this.#expect(
      task,
      fact.outcome === task.status,
      'final',
      index,
      () => `the record says ${task.status}, the log at entry ${index} says ${fact.outcome ?? 'nothing'}`,
    );
    this.#expect(
      task,
      fact.result === task.result,
      'final',
      index,
      () => `the result in the record is not the one that was reported at entry ${index}`,
    );
  }
}

/** Whether an operation can have made a task's step `what`. */
function causes(
  task: AuditTask,
  what: Step[1],
  node: string | null,
  attempt: AuditAttempt | undefined,
  fact: AuditFact,
): boolean {
  const own = fact.task === task.id;
  const current = own && (attempt === undefined || fact.token === attempt.token);
  switch (what) {
    case 'submitted':
      return fact.submits?.some(({ id }) => id === task.id) === true;
    case 'queued':
      return fact.op === 'due' || dependency(task, fact);
    case 'assigned':
      return fact.op === 'assign' && own && fact.node === node;
    case 'started':
      return fact.op === 'start' && current;
    case 'finished':
      // Given up after too many losses: by what made the last of them.
      return (
        (current && ['finish', 'lost', 'release'].includes(fact.op)) ||
        (fact.op === 'nodeDown' && fact.node === node)
      );
    case 'retrying':
      return fact.op === 'finish' && current;
    case 'lost':
      return (
        (current && (fact.op === 'release' || fact.op === 'lost' || fact.op === 'finish')) ||
        (fact.op === 'nodeDown' && fact.node === node)
      );
    case 'cancel_requested':
      return fact.op === 'cancel' && own;
    case 'canceled':
      return (
        (own && fact.op !== 'assign' && fact.op !== 'start') ||
        fact.op === 'nodeDown' ||
        dependency(task, fact)
      );
    case 'superseded':
      return (fact.op === 'finish' || fact.op === 'supersede') && current;
  }
}

/** What may have settled a task that waits for others: the end of one of them, or of one that they waited for. */
function dependency(task: AuditTask, fact: AuditFact): boolean {
  if (task.after.length === 0) return false;
  if (fact.submits?.some(({ id }) => id === task.id) === true) return true;
  return ['finish', 'cancel', 'lost', 'release', 'nodeDown', 'submit', 'stage'].includes(fact.op);
}
