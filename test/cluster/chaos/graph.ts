/** The tasks of a chaos run: what each does, whom it waits for, and what must become of it. All from a seed. */
import { join } from 'node:path';
import type { FinalStatus, TaskRequest } from '../../../src/api/tasks.ts';
import { Random } from '../../sim/random.ts';

/** `flaky` fails at its first own attempt, `doomed` always. */
export type TaskKind = 'fine' | 'flaky' | 'doomed';

export interface GraphTask {
  readonly number: number;
  readonly kind: TaskKind;
  /** Numbers of earlier tasks, of earlier batches. */
  readonly after: readonly number[];
  readonly expected: FinalStatus;
}

/** How far back a task may wait for another. */
const REACH = 400;
const DEPENDENCIES_MAX = 3;

/** `batch`: so many are submitted together, and do not know each other's ids. */
export function taskGraph(seed: number, count: number, batch: number): readonly GraphTask[] {
  const random = new Random(seed);
  const tasks: GraphTask[] = [];
  for (let number = 0; number < count; number += 1) {
    const dice = random.fraction();
    const kind: TaskKind = dice < 0.005 ? 'doomed' : dice < 0.1 ? 'flaky' : 'fine';
    const known = number - (number % batch);
    const after = new Set<number>();
    if (known > 0 && random.chance(0.4)) {
      const count = 1 + random.below(DEPENDENCIES_MAX);
      for (let at = 0; at < count; at += 1) after.add(random.between(Math.max(0, known - REACH), known - 1));
    }
    const isCanceled = [...after].some((on) => tasks[on]?.expected !== 'succeeded');
    const expected = isCanceled ? 'canceled' : kind === 'doomed' ? 'failed' : 'succeeded';
    tasks.push({ number, kind, after: [...after], expected });
  }
  return tasks;
}

/** A task as submitted. Its process notes its start and end in the record (payloads.ts reads it). */
export function requestOf(task: GraphTask, folder: string, ids: readonly string[]): TaskRequest {
  const note = (what: string): string =>
    `echo "${what} $CLB_TASK_ID $CLB_ATTEMPT $$ $(date +%s%N)" >> "$RECORD"`;
  const marker = join(folder, 'markers', String(task.number));
  const endings: Readonly<Record<TaskKind, string>> = {
    fine: `echo "task ${task.number}"`,
    flaky: `if [ -e "${marker}" ]; then echo "task ${task.number}"; else : > "${marker}"; exit 1; fi`,
    doomed: 'exit 3',
  };
  return {
    name: `chaos-${task.kind}`,
    labels: { number: String(task.number) },
    command: ['sh', '-c', `${note('start')}; sleep 0.05; ${note('end')}; ${endings[task.kind]}`],
    env: { RECORD: join(folder, 'record') },
    ...(task.kind === 'doomed' ? { maxAttempts: 2, backoffMs: 200 } : { maxAttempts: 5, backoffMs: 200 }),
    ...(task.after.length === 0 ? {} : { after: task.after.map((on) => ids[on] ?? '') }),
  };
}
