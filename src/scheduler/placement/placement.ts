/**
 * Which node gets a task. Pure: everything it needs to know comes in. Lowest score wins:
 *
 *     score = CPU % + memory % (as sampled)
 *           + what was placed there since the sample could show it (PRESSURE, so that a burst spreads)
 *           + 100 × taken slots ÷ slots
 *           + 200 × (1 − its speed ÷ that of the fastest node that could run it)
 *           + a penalty for the node on which the task has just failed
 *
 * Equal scores: the node that was used least recently.
 */
import type { CandidateRow } from '../state/candidate-rows.ts';

export type LeaderExecutes = 'fallback' | 'always' | 'never';

/** A node as placement sees it. The owner keeps one object per node and changes it. */
export interface PlacementNode {
  readonly id: string;
  /** Why it can take nothing now, whatever is asked ("is draining"); null: it is ready. */
  readonly unable: string | null;
  readonly isMaster: boolean;
  readonly slots: number;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Percent, latest sample; null before the first. */
  readonly cpu: number | null;
  readonly memory: number | null;
  /** Slots taken. */
  readonly busy: number;
  /** Reserved by the tasks that are there. */
  readonly cpuReserved: number;
  readonly memoryReservedMb: number;
  /** Points for tasks placed so recently that the sample does not show them. */
  readonly pressure: number;
  /** As learned (speed.ts): twice the number, half the run time. */
  readonly speed: number;
  /** Grows with each placement; of the latest one here. */
  readonly lastPlaced: number;
}

/** What a task asks of a node. */
export interface Demand {
  readonly constraints: Readonly<Record<string, string>>;
  readonly cpu: number;
  readonly memoryMb: number;
  /** The node on which its previous attempt failed. */
  readonly avoid: string | null;
}

export interface PlacementRules {
  readonly leaderExecutes: LeaderExecutes;
  /** A new master does not use itself as a fallback before the workers had time to register. */
  readonly fallbackOpen: boolean;
  /** Nodes kept free for a task that comes first and waits for room on them. */
  readonly held: ReadonlySet<string>;
}

export type Choice =
  | {
      readonly kind: 'placed';
      readonly node: string;
      readonly reason: string;
      readonly rows: readonly CandidateRow[];
    }
  /** `hold`: the node to be kept for this task, where it waits for memory or cores and not merely for a slot. */
  | { readonly kind: 'blocked'; readonly reason: string; readonly hold: string | null };

/** Rows recorded with a placement: the chosen one and the best of the others. */
export const CANDIDATE_ROWS_MAX = 8;
/** Points for having failed this task: more than any load difference, so it is used only when nothing else is free. */
const AVOID_PENALTY = 1_000;
/**
 * Points for being infinitely slower than the fastest node: an idle node of half its speed counts like the fastest one with half of
 * its slots and cores taken.
 */
const SPEED_POINTS = 200;

/** Sum of points for a task just placed: one core unless it says, its memory, as a share of the node. */
export function pressureOf(demand: Pick<Demand, 'cpu' | 'memoryMb'>, cpus: number, memoryMb: number): number {
  const cores = demand.cpu > 0 ? demand.cpu : 1;
  return (100 * cores) / Math.max(cpus, 0.1) + (100 * demand.memoryMb) / Math.max(memoryMb, 1);
}

/** `fastest`: the speed of the fastest node that could run it. */
function scoreOf(node: PlacementNode, demand: Demand, fastest: number): number {
  const occupancy = (100 * node.busy) / node.slots;
  const slowness = SPEED_POINTS * (1 - node.speed / fastest);
  const penalty = node.id === demand.avoid ? AVOID_PENALTY : 0;
  return (node.cpu ?? 0) + (node.memory ?? 0) + node.pressure + occupancy + slowness + penalty;
}

/** Of the nodes that could run it, busy or not, so that a score says the same of a node whoever else is free. */
function fastestOf(nodes: readonly PlacementNode[], demand: Demand): number {
  let fastest = 0;
  for (const node of nodes) {
    if (node.speed > fastest && whyUnable(node, demand) === null) fastest = node.speed;
  }
  return fastest;
}

/** Why the node could not run this task even if nothing else ran there; null: it is able. */
function whyUnable(node: PlacementNode, demand: Demand): string | null {
  if (node.unable !== null) return node.unable;
  if (node.slots < 1) return 'has no slots';
  for (const key in demand.constraints) {
    if (node.labels[key] !== demand.constraints[key])
      return `has no label ${key}=${demand.constraints[key] ?? ''}`;
  }
  if (demand.cpu > node.cpus) return `has ${node.cpus} cores, ${demand.cpu} are asked for`;
  if (demand.memoryMb > node.memoryMb) return `has ${node.memoryMb} MiB, ${demand.memoryMb} are asked for`;
  return null;
}

/** Why an able node has no place for it now; null: it is free. */
function whyBusy(node: PlacementNode, demand: Demand, held: ReadonlySet<string>): string | null {
  if (node.busy >= node.slots) {
    return node.slots === 1 ? 'its only slot is taken' : `all ${node.slots} slots are taken`;
  }
  if (demand.cpu > 0 && node.cpuReserved + demand.cpu > node.cpus) {
    return `${node.cpuReserved} of ${node.cpus} cores are reserved`;
  }
  if (demand.memoryMb > 0 && node.memoryReservedMb + demand.memoryMb > node.memoryMb) {
    return `${node.memoryReservedMb} of ${node.memoryMb} MiB are reserved`;
  }
  return held.has(node.id) ? 'is kept free for a task that comes first' : null;
}

/**
 * Whether the master may run this task: only while no other able node is ready (busy ones count as able), unless
 * the rule says otherwise.
 */
function masterMay(nodes: Iterable<PlacementNode>, demand: Demand, rules: PlacementRules): boolean {
  if (rules.leaderExecutes === 'always') return true;
  if (rules.leaderExecutes === 'never' || !rules.fallbackOpen) return false;
  for (const node of nodes) if (!node.isMaster && whyUnable(node, demand) === null) return false;
  return true;
}

/** Chooses among `nodes`, whose order does not matter (ties go by lastPlaced, then by id). */
export function chooseNode(nodes: readonly PlacementNode[], demand: Demand, rules: PlacementRules): Choice {
  const masterAllowed = masterMay(nodes, demand, rules);
  const fastest = fastestOf(nodes, demand);
  let best: PlacementNode | null = null;
  let bestScore = Infinity;
  for (const node of nodes) {
    if (node.isMaster && !masterAllowed) continue;
    if (whyUnable(node, demand) !== null || whyBusy(node, demand, rules.held) !== null) continue;
    const score = scoreOf(node, demand, fastest);
    if (best === null || score < bestScore || (score === bestScore && usedEarlier(node, best))) {
      best = node;
      bestScore = score;
    }
  }
  if (best === null) return blocked(nodes, demand, rules, masterAllowed);
  return { kind: 'placed', node: best.id, ...explain(nodes, demand, rules, masterAllowed, best, fastest) };
}

function usedEarlier(a: PlacementNode, b: PlacementNode): boolean {
  return a.lastPlaced < b.lastPlaced || (a.lastPlaced === b.lastPlaced && a.id < b.id);
}

function explain(
  nodes: readonly PlacementNode[],
  demand: Demand,
  rules: PlacementRules,
  masterAllowed: boolean,
  chosen: PlacementNode,
  fastest: number,
): { readonly reason: string; readonly rows: readonly CandidateRow[] } {
  let free = 0;
  const rows: CandidateRow[] = [];
  for (const node of nodes) {
    const why = whyNot(node, demand, rules, masterAllowed);
    if (why === null) free += 1;
    if (node === chosen || nodes.length <= CANDIDATE_ROWS_MAX || why === null) {
      rows.push(candidateRow(node, why === null ? scoreOf(node, demand, fastest) : null, why));
    }
  }
  if (rows.length > CANDIDATE_ROWS_MAX) {
    rows.sort((a, b) => (a[5] ?? Infinity) - (b[5] ?? Infinity));
    rows.length = CANDIDATE_ROWS_MAX;
    // Equal scores may have pushed the chosen one out.
    if (!rows.some((row) => row[0] === chosen.id)) {
      rows[CANDIDATE_ROWS_MAX - 1] = candidateRow(chosen, scoreOf(chosen, demand, fastest), null);
    }
  }
  const reason =
    free === 1
      ? nodes.length === 1
        ? 'the only node'
        : `the only free one of ${nodes.length} nodes`
      : `lowest score of ${free} free nodes`;
  return { reason: chosen.isMaster ? `${reason} (the master itself)` : reason, rows };
}

function whyNot(
  node: PlacementNode,
  demand: Demand,
  rules: PlacementRules,
  masterAllowed: boolean,
): string | null {
  if (node.isMaster && !masterAllowed && node.unable === null) return 'is the master';
  return whyUnable(node, demand) ?? whyBusy(node, demand, rules.held);
}

function candidateRow(node: PlacementNode, score: number | null, why: string | null): CandidateRow {
  return [
    ...([
      node.id,
      rounded(node.cpu),
      rounded(node.memory),
      node.busy,
      node.slots,
      rounded(score),
      why,
    ] as const),
    ...([rounded(node.cpuReserved) ?? 0, node.memoryReservedMb, hundredths(node.speed)] as const),
  ];
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10) / 10;
}

/** Says in one sentence what the task waits for, and which node is to be kept for it. */
function blocked(
  nodes: readonly PlacementNode[],
  demand: Demand,
  rules: PlacementRules,
  masterAllowed: boolean,
): Choice {
  const usable = nodes.filter((node) => !node.isMaster || masterAllowed);
  const able = usable.filter((node) => whyUnable(node, demand) === null);
  if (able.length === 0)
    return { kind: 'blocked', reason: whyNoneIsAble(nodes, usable, demand, rules), hold: null };
  const withSlots = able.filter((node) => node.busy < node.slots);
  if (withSlots.length === 0) {
    const slots = able.reduce((sum, node) => sum + node.slots, 0);
    const taken = slots === 1 ? 'the only slot is taken' : `all ${slots} slots are taken`;
    return { kind: 'blocked', reason: `waits for a free slot: ${taken}`, hold: null };
  }
  // Slots are free, so it waits for cores or memory: the node nearest to having them is kept, else small tasks that
  // come later would pass it by for ever.
  let hold: PlacementNode | null = null;
  for (const node of able) {
    if (rules.held.has(node.id)) continue;
    if (hold === null || missing(node, demand) < missing(hold, demand)) hold = node;
  }
  return { kind: 'blocked', reason: whyNoRoom(hold, demand), hold: hold === null ? null : hold.id };
}

/** Of a task for which there are slots, but not what it asks for. `hold`: the node that is kept for it. */
function whyNoRoom(hold: PlacementNode | null, demand: Demand): string {
  if (hold === null || (demand.cpu === 0 && demand.memoryMb === 0))
    return 'waits for its turn: free slots are kept for a task that comes first';
  if (demand.memoryMb > 0 && hold.memoryReservedMb + demand.memoryMb > hold.memoryMb) {
    const { memoryReservedMb, memoryMb } = hold;
    return `waits for ${demand.memoryMb} MiB on ${hold.id}: ${memoryReservedMb} of ${memoryMb} MiB are reserved`;
  }
  if (demand.cpu > 0 && hold.cpuReserved + demand.cpu > hold.cpus)
    return `waits for ${demand.cpu} cores on ${hold.id}: ${rounded(hold.cpuReserved)} of ${hold.cpus} are reserved`;
  return `waits for a free slot on ${hold.id}, where it would have room`;
}

/** How much is lacking, as a share of the node. */
function missing(node: PlacementNode, demand: Demand): number {
  const cpu = node.cpuReserved + demand.cpu - node.cpus;
  const memory = node.memoryReservedMb + demand.memoryMb - node.memoryMb;
  return Math.max(0, cpu) / Math.max(node.cpus, 0.1) + Math.max(0, memory) / Math.max(node.memoryMb, 1);
}

function whyNoneIsAble(
  nodes: readonly PlacementNode[],
  usable: readonly PlacementNode[],
  demand: Demand,
  rules: PlacementRules,
): string {
  const ready = usable.filter((node) => node.unable === null);
  if (ready.length === 0) {
    const masterReady = nodes.some((node) => node.isMaster && node.unable === null);
    if (masterReady && rules.leaderExecutes === 'fallback') return 'waits for workers to register';
    return masterReady
      ? 'waits for a node: only the master is ready, and it runs no tasks'
      : 'waits for a node: none is ready';
  }
  for (const [key, value] of Object.entries(demand.constraints)) {
    if (!ready.some((node) => node.labels[key] === value))
      return `waits for a node with label ${key}=${value}: none that is ready has it`;
  }
  const cpus = Math.max(...ready.map((node) => node.cpus));
  if (cpus < demand.cpu)
    return `waits for a node with ${demand.cpu} cores: the largest that is ready has ${cpus}`;
  const memoryMb = Math.max(...ready.map((node) => node.memoryMb));
  if (memoryMb < demand.memoryMb)
    return `waits for a node with ${demand.memoryMb} MiB: the largest that is ready has ${memoryMb}`;
  return 'waits for a node that has all it asks for: none that is ready does';
}
