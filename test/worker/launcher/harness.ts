/**
 * A real launcher with real processes, driven through the executor that production uses. `leftovers` looks at the process
 * table itself, not at what the launcher believes.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AttemptRef, RunSpec } from '../../../src/link/protocol.ts';
import { attemptKey } from '../../../src/link/messages.ts';
import type { Ending, ExecutorHoldings } from '../../../src/worker/executor.ts';
import { LauncherExecutor } from '../../../src/worker/launcher-executor.ts';
import { launcherLayout } from '../../../src/worker/launcher/layout.ts';
import { monotonicMs } from '../../../src/worker/monotonic.ts';
import { Changes, DEADLINE_MS } from '../changes.ts';
import { BLANK_SPEC } from '../run-spec.ts';

export const LONG_LEASE_MS = 600_000;

export const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };

export type Finished = Extract<Ending, { kind: 'finished' }>;

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'clb-launcher-test-'));
}

export class Harness {
  readonly dataDir: string;
  readonly executor: LauncherExecutor;
  readonly endings = new Map<string, Ending>();
  readonly started = new Set<string>();
  readonly fatal: Error[] = [];
  #tokens = 0;
  readonly #changes = new Changes();

  constructor(dataDir: string = temporaryFolder(), pausedMsMax?: number, scratchBytesMax?: number) {
    this.dataDir = dataDir;
    this.executor = new LauncherExecutor({
      node: 'server2',
      dataDir,
      log: QUIET,
      ...(pausedMsMax === undefined ? {} : { pausedMsMax }),
      ...(scratchBytesMax === undefined ? {} : { scratchBytesMax }),
    });
  }

  async start(leaseMs: number | null = LONG_LEASE_MS): Promise<ExecutorHoldings> {
    const holdings = await this.executor.start({
      onStarted: (ref) => {
        this.started.add(attemptKey(ref));
        this.#changes.notify();
      },
      onEnded: (ref, ending) => {
        this.endings.set(attemptKey(ref), ending);
        this.#changes.notify();
      },
      onFatal: (error) => this.fatal.push(error),
    });
    if (leaseMs !== null) this.executor.extendLease(monotonicMs() + leaseMs);
    return holdings;
  }

  /** Ends the launcher, checks that it left nothing, and removes the folder. */
  async stop(): Promise<void> {
    await this.executor.stop();
    const { launcher, guard } = this.executor.pids;
    assert.equal(isRunning(launcher), false, 'the launcher is gone');
    assert.equal(isRunning(guard), false, 'the guard is gone');
    assert.deepEqual(this.fatal, []);
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  launch(spec: Partial<RunSpec>, number = 1): AttemptRef {
    this.#tokens += 1;
    const ref = { task: `t-${randomBytes(8).toString('hex')}`, token: this.#tokens };
    this.executor.launch({ ...ref, number, spec: { ...BLANK_SPEC, ...spec } });
    return ref;
  }

  async untilStarted(ref: AttemptRef): Promise<void> {
    await this.until(() => this.started.has(attemptKey(ref)), 'the start');
  }

  async ending(ref: AttemptRef): Promise<Ending> {
    await this.until(() => this.endings.has(attemptKey(ref)), 'the end');
    return this.endings.get(attemptKey(ref))!;
  }

  /** Waits for the end, checks that it finished and left no process, and acknowledges it. */
  async finished(ref: AttemptRef): Promise<Finished> {
    const ending = await this.ending(ref);
    assert.deepEqual(leftovers(ref.task), [], 'no process is left when the end is reported');
    this.executor.acknowledge(ref);
    assert.equal(ending.kind, 'finished');
    return ending;
  }

  run(spec: Partial<RunSpec>): Promise<Finished> {
    return this.finished(this.launch(spec));
  }

  /** What the attempt has written so far. */
  output(ref: AttemptRef, stream: 'stdout' | 'stderr' = 'stdout'): string {
    const { attempts, kept } = launcherLayout(this.dataDir);
    for (const place of [attempts, kept]) {
      for (const name of readdirSync(place)) {
        const file = join(place, name, stream);
        if (name.startsWith(`${attemptKey(ref)}.`) && existsSync(file)) return readFileSync(file, 'utf8');
      }
    }
    return '';
  }

  /** Waits until the attempt has written that text. */
  async untilOutput(ref: AttemptRef, text: string): Promise<void> {
    await poll(() => this.output(ref).includes(text), `output with ${JSON.stringify(text)}`);
  }

  /** Waits for an event of the launcher. */
  until(isSo: () => boolean, what: string): Promise<void> {
    return this.#changes.until(isSo, what);
  }
}

/** For state outside this process only: files, the process table. */
export async function poll(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = monotonicMs() + DEADLINE_MS;
  while (!(await isSo())) {
    assert.ok(monotonicMs() < deadlineMs, `${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function statOf(pid: number | string): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Zombies don't count: they wait for their parent only. */
export function isRunning(pid: number): boolean {
  const stat = pid > 1 ? statOf(pid) : null;
  return stat !== null && stat[0] !== 'Z' && stat[0] !== 'X';
}

/** Stopped; or (D) waiting within vfork for a child that was stopped before its exec. */
export function isStopped(pid: number): boolean {
  return ['T', 'D'].includes(statOf(pid)?.[0] ?? '');
}

/** Ids of the living processes that carry the task's marker. */
export function leftovers(task: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let environ = '';
    try {
      environ = readFileSync(`/proc/${name}/environ`, 'latin1');
    } catch {
      continue; // gone, or not ours
    }
    if (environ.split('\0').includes(`CLB_TASK_ID=${task}`) && isRunning(Number(name)))
      found.push(Number(name));
  }
  return found;
}
