/** Tasks and pages of tasks as the API gives them. */
import type { TaskResult, TaskStatus, TaskSummary, TaskView } from '../../src/api/tasks.ts';
import type { NodeView } from '../../src/api/views.ts';
import { BLANK_TASK as BLANK } from '../web/blank-task.ts';
import type { ListPage } from '../../src/web/ui/src/model/task-list.ts';

/** A queued task with nothing in it but the defaults, of the time that the tests play in. */
export const BLANK_TASK: TaskView = { ...BLANK, submittedAt: '2027-01-15T08:00:00.000Z' };

/** A task whose number tells its age: the higher, the newer. */
export function task(number: number, change: Partial<TaskView> = {}): TaskView {
  return {
    ...BLANK_TASK,
    id: `task-${String(number).padStart(4, '0')}-of-the-test`,
    submittedAt: new Date(Date.parse(BLANK_TASK.submittedAt) + number * 1_000).toISOString(),
    index: number,
    script: `print(${String(number)})\n`,
    ...change,
  };
}

export function result(stdout: string, change: Partial<TaskResult> = {}): TaskResult {
  return {
    exitCode: 0,
    signal: null,
    stdout,
    stderr: '',
    stdoutBytes: Buffer.byteLength(stdout),
    stderrBytes: 0,
    truncated: false,
    ...change,
  };
}

/** The same as a row of the list: without script, stdin and streams. */
export function summary(whole: TaskView): TaskSummary {
  const small = (each: object, bulky: readonly string[]): object =>
    Object.fromEntries(Object.entries(each).filter(([field]) => !bulky.includes(field)));
  const ended = whole.result === null ? null : small(whole.result, ['stdout', 'stderr']);
  return { ...small(whole, ['script', 'stdin']), result: ended } as TaskSummary;
}

/** A page of tasks from the newest number to the oldest, both included. */
export function page(
  newest: number,
  oldest: number,
  options: { readonly nextCursor?: string | null; readonly status?: TaskStatus } = {},
): ListPage {
  const tasks: TaskSummary[] = [];
  for (let number = newest; number >= oldest; number -= 1) {
    tasks.push(summary(task(number, { status: options.status ?? 'queued' })));
  }
  return { tasks, nextCursor: options.nextCursor ?? null, counts: { queued: newest } };
}

export function node(id: string, change: Partial<NodeView> = {}): NodeView {
  return {
    id,
    role: id.startsWith('worker') ? 'worker' : 'server',
    address: '127.0.0.1:3002',
    status: 'ready',
    eligible: true,
    cpu: 10,
    memory: 20,
    slots: 2,
    running: 0,
    labels: {},
    lastSeenAt: null,
    leader: false,
    ...change,
  };
}
