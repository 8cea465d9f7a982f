import type { Op } from '../../../src/scheduler/state/ops.ts';
import type { MachineDriver } from '../machine-driver.ts';
import { newTask, registration, taskResult } from '../machine-driver.ts';
import type { Random } from './random.ts';

const NODES = ['n1', 'n2', 'n3'];

/** Feeds a machine random commands, sensible ones and late, doubled or mistaken ones. */
export class RandomCommands {
  readonly #driver: MachineDriver;
  readonly #random: Random;
  #nextId = 1;
  /** (task, token) of attempts ever made, current or not. */
  readonly #attempts: { readonly task: string; readonly token: number }[] = [];
  readonly #ids: string[] = [];

  constructor(driver: MachineDriver, random: Random) {
    this.#driver = driver;
    this.#random = random;
  }

  step(): void {
    const random = this.#random;
    this.#driver.now += random.below(400);
    if (random.below(60) === 0) {
      this.#driver.newTerm();
      return;
    }
    const ops: Op[] = [];
    for (let count = 1 + random.below(4); count > 0; count -= 1) ops.push(this.#op());
    this.#driver.apply(...ops);
    for (const op of ops) {
      if (op.op === 'assign') this.#attempts.push({ task: op.task, token: this.#driver.index });
    }
    if (random.below(3) === 0) this.#driver.flush();
  }

  #op(): Op {
    const random = this.#random;
    const roll = random.below(100);
    if (roll < 22) return { op: 'submit', atomic: random.below(2) === 0, tasks: this.#newTasks() };
    if (roll < 25) {
      const last = random.below(2) === 0;
      return {
        op: 'stage',
        batch: `b${random.below(3)}`,
        part: random.below(2),
        last,
        tasks: this.#newTasks(),
      };
    }
    if (roll < 45) {
      return {
        op: 'assign',
        task: this.#queuedId(),
        node: this.#node(),
        placement: { reason: 'r', rows: 'n1\t1.5\t\t0\t2\t\twhy' },
      };
    }
    if (roll < 83) return this.#attemptOp();
    if (roll < 86) return { op: 'cancel', task: random.pick(this.#ids) ?? 'none' };
    if (roll < 91) return { op: 'due' };
    if (roll < 94) return { op: 'nodeUp', node: registration(this.#node(), { slots: 1 + random.below(4) }) };
    if (roll < 95) return { op: 'nodeDown', node: this.#node(), reason: 'random' };
    if (roll < 96) {
      return { op: 'drain', node: this.#node(), drain: random.below(3) === 0, deadlineMs: null };
    }
    if (roll < 97) return { op: 'pause', paused: random.below(2) === 0 };
    const { finishCount } = this.#driver.machine.state.tasks.archive.counters();
    return { op: 'retire', through: random.below(finishCount + 1) };
  }

  #newTasks() {
    const random = this.#random;
    return Array.from({ length: 1 + random.below(3) }, () => {
      const id = `task${String(this.#nextId++).padStart(6, '0')}`;
      this.#ids.push(id);
      const spec = {
        name: `näme ${id}`,
        priority: random.below(4) * 25,
        maxAttempts: 1 + random.below(3),
        backoffMs: random.below(2) * 300,
        ...(random.below(6) === 0 ? { delayMs: random.below(2_000) } : {}),
        ...(random.below(6) === 0 ? { after: [random.pick(this.#ids) ?? id] } : {}),
        ...(random.below(5) === 0 ? { constraints: { zone: 'a' } } : {}),
      };
      const key = random.below(40);
      return newTask(id, spec, key < 20 ? { key: `key${key}`, content: `c${random.below(2)}` } : {});
    });
  }

  #attemptOp(): Op {
    const random = this.#random;
    // Mostly one of the latest, which are the ones that may be current.
    const recent = this.#attempts.slice(-12);
    const attempt = random.pick(random.below(5) === 0 ? this.#attempts : recent) ?? {
      task: 'none',
      token: 1,
    };
    const roll = random.below(10);
    if (roll < 3) return { op: 'start', ...attempt };
    if (roll < 4) return { op: 'release', ...attempt, reason: 'given back' };
    if (roll < 5) return { op: 'lost', ...attempt, reason: 'not there' };
    const outcome = (['succeeded', 'failed', 'timed_out', 'canceled'] as const)[random.below(4)] ?? 'failed';
    const result = taskResult({ exitCode: random.below(3), stdout: 'ü'.repeat(random.below(200)) });
    const contents = random.below(4) === 0 ? { contents: { 'out/a': 'YQ==' } } : {};
    return { op: 'finish', ...attempt, outcome, reason: null, runMs: random.below(100), result, ...contents };
  }

  #queuedId(): string {
    const [shape] = this.#driver.machine.state.tasks.queue.shapes();
    for (const { seq } of shape?.inOrder() ?? []) {
      return this.#driver.machine.state.tasks.bySeq(seq)?.id ?? 'none';
    }
    return this.#random.pick(this.#ids) ?? 'none';
  }

  #node(): string {
    return this.#random.pick(NODES) ?? 'n1';
  }
}
