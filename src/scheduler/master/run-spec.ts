import type { RunSpec } from '../../link/protocol.ts';
import type { TaskRequest } from '../../api/tasks.ts';
import { TASK_DEFAULTS } from '../state/task-spec.ts';

const NO_ENV: Readonly<Record<string, string>> = {};
const NO_FILES: RunSpec['files'] = [];
const NO_PATTERNS: RunSpec['collect'] = [];

/** What a worker needs to run the task. */
export function runSpecOf(spec: TaskRequest): RunSpec {
  return {
    script: spec.script ?? null,
    command: spec.command ?? null,
    interpreter: spec.script === undefined ? null : (spec.interpreter ?? TASK_DEFAULTS.interpreter),
    stdin: spec.stdin ?? null,
    env: spec.env ?? NO_ENV,
    cwd: spec.cwd ?? null,
    timeoutMs: spec.timeoutMs ?? null,
    memoryMb: spec.memoryMb ?? TASK_DEFAULTS.memoryMb,
    onDisconnect: spec.onDisconnect ?? TASK_DEFAULTS.onDisconnect,
    files: spec.files ?? NO_FILES,
    collect: spec.collect ?? NO_PATTERNS,
  };
}
