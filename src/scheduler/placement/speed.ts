/**
 * How fast the nodes are compared with each other, learned from the tasks that finished on them. Pure. A task's run time is
 * taken as work ÷ speed, so in logarithms
 *
 *     ln(run time) = ln(work of its kind) − ln(speed of its node) + chance
 *
 * and each finished task moves both estimates by a part of what they did not explain. A kind is what a task does (its
 * name, else its command or script); a task whose kind was not seen before is compared with all tasks, which says less
 * and therefore moves less.
 */
import type { TaskRequest } from '../../api/tasks.ts';
import { fnv1a } from '../state/hash.ts';

/** Run times below this tell of starting processes and of the log, not of the node. */
export const LEARNED_RUN_MS_MIN = 500;
/** Kinds remembered; the one longest unused makes room. */
export const SPEED_KINDS_MAX = 1_000;
/** Nodes remembered; the one longest unused makes room. */
const SPEED_NODES_MAX = 4_000;
/** One task can say at most that it went so many times faster or slower than thought (it may have been paused). */
const SURPRISE_MAX = Math.log(4);
/** Of a kind, this many runs are needed before its own mean says more than that of all tasks. */
const KIND_RUNS_MIN = 2;
/** Parts by which an estimate moves: 1 ÷ (runs so far + doubt), but never less than the floor, so that a change is noticed. */
const GAINS = {
  nodeByKind: { doubt: 3, floor: 1 / 24 },
  nodeByAll: { doubt: 5, floor: 1 / 64 },
  work: { doubt: 1, floor: 1 / 64 },
} as const;
/** Runs after which a node's speed is more than a first impression. */
export const SPEED_RUNS_MIN = 6;
/** Characters of a script or command that tell one kind from another, besides its length. */
const KIND_CHARS = 2_048;

interface Estimate {
  /** Natural logarithm: of a speed, or of milliseconds of work on a node of speed 1. */
  log: number;
  runs: number;
}

export class SpeedBook {
  readonly #nodes = new Map<string, Estimate>();
  readonly #kinds = new Map<number, Estimate>();
  readonly #all: Estimate = { log: 0, runs: 0 };

  /** A task of this kind took `runMs` on `node`, and succeeded (what fails or is ended says nothing of its work). */
  learn(node: string, kind: number, runMs: number): void {
    if (!(runMs >= LEARNED_RUN_MS_MIN)) return;
    const speed = touched(this.#nodes, node, SPEED_NODES_MAX, () => this.#newcomer());
    const work = touched(this.#kinds, kind, SPEED_KINDS_MAX, () => ({ log: 0, runs: 0 }));
    const observed = Math.log(runMs);
    const known = work.runs >= KIND_RUNS_MIN;
    const expected = known ? work : this.#all;
    if (expected.runs > 0) {
      const surprise = clamped(expected.log - speed.log - observed);
      speed.log += surprise * gainOf(known ? GAINS.nodeByKind : GAINS.nodeByAll, speed.runs);
    }
    speed.runs += 1;
    for (const estimate of [work, this.#all]) {
      const surprise = observed + speed.log - estimate.log;
      estimate.log +=
        (estimate.runs === 0 ? surprise : clamped(surprise)) * gainOf(GAINS.work, estimate.runs);
      estimate.runs += 1;
    }
  }

  /** A node nobody knows anything of is taken for an average one. */
  #newcomer(): Estimate {
    let sum = 0;
    for (const { log } of this.#nodes.values()) sum += log;
    return { log: this.#nodes.size === 0 ? 0 : sum / this.#nodes.size, runs: 0 };
  }

  /** Compared with other nodes: twice the number, half the run time. */
  speedOf(node: string): number {
    return Math.exp((this.#nodes.get(node) ?? this.#newcomer()).log);
  }

  /** Whether {@link speedOf} is more than a first impression. */
  isKnown(node: string): boolean {
    return (this.#nodes.get(node)?.runs ?? 0) >= SPEED_RUNS_MIN;
  }

  /** Milliseconds that a task of this kind is expected to take at speed 1; null before anything was learned. */
  workMs(kind: number): number | null {
    const work = this.#kinds.get(kind);
    if (work !== undefined && work.runs >= KIND_RUNS_MIN) return Math.exp(work.log);
    return this.#all.runs === 0 ? null : Math.exp(this.#all.log);
  }
}

/** Equal for tasks that do the same, as far as can be told from outside. */
export function kindOf(spec: TaskRequest): number {
  if (spec.name !== undefined) return fnv1a(`name ${spec.name}`);
  const text = spec.script ?? JSON.stringify(spec.command);
  return fnv1a(`${text.length} ${text.slice(0, KIND_CHARS)}`);
}

function gainOf(gain: { readonly doubt: number; readonly floor: number }, runs: number): number {
  return Math.max(gain.floor, 1 / (runs + gain.doubt));
}

function clamped(surprise: number): number {
  return Math.max(-SURPRISE_MAX, Math.min(SURPRISE_MAX, surprise));
}

/** The entry, made if need be, as the one used last. */
function touched<K>(map: Map<K, Estimate>, key: K, max: number, make: () => Estimate): Estimate {
  const known = map.get(key);
  if (known !== undefined) {
    map.delete(key);
    map.set(key, known);
    return known;
  }
  const made = make();
  map.set(key, made);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
  return made;
}
