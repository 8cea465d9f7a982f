import type { RaftConfig } from '../../src/raft/core/types.ts';
import type { Random } from './random.ts';

/** Who takes part. Drawn from the seed. */
export interface Cast {
  /** Members at the start. */
  readonly voters: number;
  readonly learners: number;
  /** Servers outside the cluster that changes of membership may bring in. */
  readonly spares: number;
  /** Servers that come, under ids of their own, for those that lose their disks. */
  readonly replacements: number;
  readonly workers: number;
}

/** How much of each kind of trouble there is. Drawn anew for each phase of faults. */
export interface Troubles {
  /** Largest factor by which a node's clock is faster or slower. */
  readonly clockSkewMax: number;
  readonly dropRate: number;
  readonly duplicateRate: number;
  /** Of messages that are delivered once more, seconds later. */
  readonly replayRate: number;
  /** Of messages whose bytes are garbled on the way. */
  readonly garbleRate: number;
  readonly delayMs: number;
  readonly delayMaxMs: number;
  /** Messages of a link keep their order, as on a TCP connection. */
  readonly fifo: boolean;
  readonly diskMs: number;
  readonly diskMaxMs: number;
  /** A write's completion is heard of this much later. */
  readonly diskAckMs: number;
  readonly applyMs: number;
  /** Mean time between crashes, of all nodes together; 0: none. The same of all that follow. */
  readonly crashEveryMs: number;
  /** Of crashes that strike in the middle of a node's carrying out of effects, or at a chunk of a snapshot. */
  readonly crashMidwayRate: number;
  readonly downMs: number;
  readonly restartLoopEveryMs: number;
  readonly partitionEveryMs: number;
  readonly partitionMs: number;
  readonly clogEveryMs: number;
  readonly diskStallEveryMs: number;
  /** Failed writes; a process must end at once (production driver only). */
  readonly diskFailEveryMs: number;
  readonly pauseEveryMs: number;
  readonly wallJumpEveryMs: number;
  readonly transferEveryMs: number;
  readonly membershipEveryMs: number;
  /** A server loses its disk for good, and another one takes its place. */
  readonly replaceEveryMs: number;
  /** A snapshot is taken, due or not. */
  readonly snapshotNowEveryMs: number;
  readonly workerTroubleEveryMs: number;
}

/** What one run is like. Drawn from the seed, so that every seed is another kind of weather. */
export interface Weather extends Troubles {
  /** Real time of one tick, before each node's own skew. */
  readonly tickMs: number;
  /** Everything queued goes into the next write. */
  readonly groupCommit: boolean;
  /** Entries between snapshots; 0: none. */
  readonly snapshotEvery: number;
  readonly trailingEntries: number;
  readonly snapshotChunkBytes: number;
  readonly clients: number;
  readonly thinkMs: number;
  readonly readRate: number;
  readonly payloadBytes: number;
  /** Each phase of faults is followed by one of healing. */
  readonly faultPhasesMs: readonly number[];
  readonly limits: Omit<RaftConfig, 'id'>;
}

export const ELECTION_TICKS = 10;

/** @param voters so many, and nobody else at the start, instead of what is drawn */
export function drawCast(random: Random, voters: number | undefined): Cast {
  return {
    voters: voters ?? random.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5]),
    learners: voters === undefined ? random.pick([0, 0, 0, 0, 1, 2, 3]) : 0,
    spares: voters === undefined ? random.pick([0, 1, 2]) : 0,
    replacements: 2,
    workers: random.pick([0, 1, 2, 3, 3, 3, 5, 8, 20]),
  };
}

export function drawWeather(random: Random): Weather {
  const faultPhaseMs = random.pick([600, 1200, 2500]);
  return {
    ...drawTroubles(random),
    tickMs: 10,
    groupCommit: random.chance(0.8),
    snapshotEvery: random.pick([0, 5, 20, 100]),
    trailingEntries: random.pick([0, 0, 3, 30]),
    snapshotChunkBytes: random.pick([16, 200, 4096]),
    clients: random.between(1, 6),
    thinkMs: random.pick([1, 10, 40]),
    readRate: random.pick([0, 0.2, 0.5]),
    payloadBytes: random.pick([0, 20, 300]),
    faultPhasesMs: Array.from({ length: random.pick([1, 1, 2, 3]) }, () => faultPhaseMs),
    limits: drawLimits(random),
  };
}

export function drawTroubles(random: Random): Troubles {
  const often = (mean: number, probability: number): number =>
    random.chance(probability) ? mean * (0.5 + random.fraction()) : 0;
  const calmNetwork = random.chance(0.25);
  return {
    clockSkewMax: random.pick([1, 1.1, 2]),
    dropRate: calmNetwork ? 0 : random.pick([0, 0.01, 0.05, 0.2]),
    duplicateRate: random.pick([0, 0.01, 0.1]),
    replayRate: random.pick([0, 0.005, 0.05]),
    garbleRate: calmNetwork ? 0 : random.pick([0, 0, 0.01]),
    delayMs: random.pick([0.3, 1, 5]),
    delayMaxMs: random.pick([5, 50, 500]),
    fifo: random.chance(0.4),
    diskMs: random.pick([0.2, 1, 5]),
    diskMaxMs: random.pick([5, 50, 300]),
    diskAckMs: random.pick([0, 0.5, 10]),
    applyMs: random.pick([0, 0, 1, 20]),
    crashEveryMs: often(400, 0.8),
    crashMidwayRate: random.pick([0, 0.5, 1]),
    downMs: random.pick([20, 150, 600]),
    restartLoopEveryMs: often(1500, 0.2),
    partitionEveryMs: often(500, 0.7),
    partitionMs: random.pick([50, 300, 800]),
    clogEveryMs: often(500, 0.2),
    diskStallEveryMs: often(800, 0.3),
    diskFailEveryMs: often(700, 0.3),
    pauseEveryMs: often(700, 0.3),
    wallJumpEveryMs: often(700, 0.3),
    transferEveryMs: often(random.pick([100, 500]), 0.3),
    membershipEveryMs: often(random.pick([100, 400]), 0.3),
    replaceEveryMs: often(random.pick([500, 2500]), 0.3),
    snapshotNowEveryMs: often(500, 0.25),
    workerTroubleEveryMs: often(300, 0.9),
  };
}

function drawLimits(random: Random): Omit<RaftConfig, 'id'> {
  return {
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: random.between(1, 4),
    messageBytesMax: random.pick([1, 150, 1000, 100_000]),
    inflightMessagesMax: random.pick([1, 2, 8, 64]),
    inflightBytesMax: random.pick([1, 500, 100_000]),
    uncommittedBytesMax: random.pick([200, 2000, 1_000_000]),
    proposalBytesMax: 10_000,
    unappliedBytesMax: random.pick([1, 300, 1_000_000]),
    pendingReadsMax: random.pick([1, 5, 1000]),
    patienceBytes: random.pick([100, 1000, 65_536]),
    patienceTicksMax: random.pick([1, 10, 50]),
  };
}

/** The weather after the fault phase: nothing goes wrong any more, and everything must come right. */
export function heal(weather: Weather): Weather {
  return {
    ...weather,
    clockSkewMax: 1,
    dropRate: 0,
    duplicateRate: 0,
    replayRate: 0,
    garbleRate: 0,
    delayMs: 1,
    delayMaxMs: 3,
    diskMs: 0.5,
    diskMaxMs: 2,
    diskAckMs: 0.1,
    applyMs: 0,
    crashEveryMs: 0,
    restartLoopEveryMs: 0,
    partitionEveryMs: 0,
    clogEveryMs: 0,
    diskStallEveryMs: 0,
    diskFailEveryMs: 0,
    pauseEveryMs: 0,
    wallJumpEveryMs: 0,
    transferEveryMs: 0,
    membershipEveryMs: 0,
    replaceEveryMs: 0,
    snapshotNowEveryMs: 0,
    workerTroubleEveryMs: 0,
  };
}
