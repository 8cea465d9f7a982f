import type { AttemptView, TaskRequest, TaskStatus, TaskView } from '../../src/api/tasks.ts';
import type { NodeView } from '../../src/api/views.ts';

export function now(): string {
  return new Date().toISOString();
}

export function endLast(attempts: readonly AttemptView[], end: Partial<AttemptView>): AttemptView[] {
  return attempts.map((attempt, i) => (i === attempts.length - 1 ? { ...attempt, ...end } : attempt));
}

export function nodeView(id: string, address: string, leader: string | null): NodeView {
  return {
    id,
    role: 'server',
    address,
    status: 'ready',
    eligible: true,
    cpu: 12.3,
    memory: 45.6,
    slots: 2,
    running: 1,
    labels: { zone: 'a' },
    lastSeenAt: now(),
    leader: id === leader,
  };
}

export function newTask(id: string, request: TaskRequest): TaskView {
  const status: TaskStatus = 'queued';
  return {
    id,
    name: request.name ?? null,
    status,
    priority: request.priority ?? 50,
    pendingReason: 'no node has a free slot',
    submittedAt: now(),
    startedAt: null,
    finishedAt: null,
    attempts: [],
    result: null,
    index: 0,
    script: request.script ?? null,
    command: request.command ?? null,
    interpreter: request.interpreter ?? null,
    stdin: request.stdin ?? null,
    env: request.env ?? {},
    cwd: request.cwd ?? null,
    timeoutMs: request.timeoutMs ?? null,
    maxAttempts: request.maxAttempts ?? 1,
    backoffMs: request.backoffMs ?? 1000,
    cpu: request.cpu ?? 0,
    memoryMb: request.memoryMb ?? 0,
    labels: request.labels ?? {},
    constraints: request.constraints ?? {},
    delayMs: request.delayMs ?? 0,
    onDisconnect: request.onDisconnect ?? 'pause',
    after: request.after ?? [],
    noRetryExitCodes: request.noRetryExitCodes ?? [],
    files: request.files ?? [],
    collect: request.collect ?? [],
    retryOf: null,
  };
}
