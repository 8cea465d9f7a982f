/** Defaults of a task (contract §4) and what placement asks of its specification. */
import type { TaskRequest } from '../../api/tasks.ts';

export const TASK_DEFAULTS = {
  interpreter: 'python3',
  maxAttempts: 1,
  backoffMs: 1_000,
  priority: 50,
  cpu: 0,
  memoryMb: 0,
  delayMs: 0,
  onDisconnect: 'pause',
} as const;

export function priorityOf(spec: TaskRequest): number {
  return spec.priority ?? TASK_DEFAULTS.priority;
}

export function maxAttemptsOf(spec: TaskRequest): number {
  return spec.maxAttempts ?? TASK_DEFAULTS.maxAttempts;
}

export function backoffMsOf(spec: TaskRequest): number {
  return spec.backoffMs ?? TASK_DEFAULTS.backoffMs;
}

/** Equal for tasks that ask the same of a node; '' for those that ask nothing. */
export function shapeOf(spec: TaskRequest): string {
  const cpu = spec.cpu ?? 0;
  const memoryMb = spec.memoryMb ?? 0;
  if (spec.constraints === undefined && cpu === 0 && memoryMb === 0) return '';
  const constraints = Object.entries(spec.constraints ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (constraints.length === 0 && cpu === 0 && memoryMb === 0) return '';
  return JSON.stringify([constraints, cpu, memoryMb]);
}
