/** Promise 1: what the log accepted is kept. */
import type { AuditFact, AuditHead, AuditSubmit } from '../api/audit.ts';
import type { Findings } from './checks.ts';
import type { LogAudit } from './log-audit.ts';

/** Ids and keys of the tasks that a server keeps. */
export interface KeptTasks {
  has(id: string): boolean;
  hasKey(key: string): boolean;
}

interface Submission {
  readonly index: number;
  readonly atomic: boolean;
  readonly tasks: readonly AuditSubmit[];
}

/**
 * Every task that an applied entry submits must be kept, unless the state machine refused it (its key stands for another task, it waits
 * for a task that is not there, it is part of a batch of which all or none is taken) or retention dropped it since.
 */
export function checkAccepted(
  findings: Findings,
  server: string,
  head: AuditHead,
  log: LogAudit,
  kept: KeptTasks,
): void {
  const retired = lastRetirement(log);
  for (const submission of submissions(log, head.appliedIndex)) {
    const missing = submission.tasks.filter(({ id }) => !kept.has(id));
    findings.examined('accepted', submission.tasks.length - missing.length);
    if (missing.length === 0) continue;
    const explained =
      retired > submission.index ||
      (submission.atomic && submission.tasks.some((task) => isRefusable(task, kept)));
    for (const task of missing) {
      findings.expect(explained || isRefusable(task, kept), 'accepted', () => ({
        server,
        task: task.id,
        index: submission.index,
        message: `entry ${submission.index} submits it, but it is not kept`,
      }));
    }
  }
}

function isRefusable(task: AuditSubmit, kept: KeptTasks): boolean {
  if (task.key !== undefined && kept.hasKey(task.key)) return !kept.has(task.id);
  return task.after?.some((id) => !kept.has(id)) === true;
}

/** Finished tasks were dropped by entries up to this one; 0 if none were. */
function lastRetirement(log: LogAudit): number {
  let last = 0;
  for (const [index, facts] of log.entries()) if (facts.some(({ op }) => op === 'retire')) last = index;
  return last;
}

function* submissions(log: LogAudit, appliedIndex: number): Generator<Submission, void, undefined> {
  const parts = new StagedParts();
  for (const [index, facts] of log.entries()) {
    if (index > appliedIndex) return;
    // A new term drops the parts of unfinished batches.
    if (log.isTermStart(index)) parts.clear();
    for (const fact of facts) {
      if (fact.op === 'unstage') parts.drop(fact);
      else if (fact.op === 'stage') {
        const tasks = parts.add(fact);
        if (tasks !== null) yield { index, atomic: true, tasks };
      } else if (fact.submits !== undefined) {
        yield { index, atomic: fact.atomic === true, tasks: fact.submits };
      }
    }
  }
}

/** Batches that come in parts. Of one whose first parts lie before the kept log, nothing can be said. */
class StagedParts {
  readonly #batches = new Map<string, { readonly count: number; readonly tasks: readonly AuditSubmit[] }>();

  /** @returns the whole batch where this was its last part */
  add({ batch = '', part = 0, last = false, submits = [] }: AuditFact): readonly AuditSubmit[] | null {
    const known = this.#batches.get(batch) ?? { count: 0, tasks: [] };
    this.#batches.delete(batch);
    if (known.count !== part) return null;
    const tasks = [...known.tasks, ...submits];
    if (last) return tasks;
    this.#batches.set(batch, { count: part + 1, tasks });
    return null;
  }

  drop({ batch = '' }: AuditFact): void {
    this.#batches.delete(batch);
  }

  clear(): void {
    this.#batches.clear();
  }
}
