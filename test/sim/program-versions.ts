/** Servers of two versions of the program in one cluster, which are upgraded one after the other when they start again. */
import type { NodeId } from '../../src/raft/core/types.ts';
import type { CommittedCommand } from '../../src/raft/state-machine.ts';
import { PROTOCOL_VERSIONS } from '../../src/raft/transport/versions.ts';
import { versionOf } from '../../src/scheduler/state/op-versions.ts';
import { decodeEntry, type ApplyResult } from '../../src/scheduler/state/ops.ts';
import { TaskMachine } from '../../src/scheduler/task-machine.ts';
import type { Surroundings } from './host.ts';
import { check } from './sim-failure.ts';

/** Of the seeds, those that begin with servers of the version before. */
const SEEDS_EVERY = 3;
/** Of the starts of such a server, those in the new version. */
const UPGRADE_RATE = 0.4;

export class ProgramVersions {
  readonly #begunWithOld: boolean;
  readonly #versions = new Map<NodeId, number>();

  constructor(seed: number) {
    this.#begunWithOld = seed % SEEDS_EVERY === 1;
  }

  /** A server starts. Who comes later is of the new version. @returns its version, which never falls */
  startOf(server: NodeId, isFounder: boolean, around: Surroundings): number {
    const known = this.#versions.get(server);
    const isOld = this.#begunWithOld && isFounder && known !== PROTOCOL_VERSIONS.newest;
    const stays = known === undefined || !around.random.chance(UPGRADE_RATE);
    const version = isOld && stays ? PROTOCOL_VERSIONS.newest - 1 : PROTOCOL_VERSIONS.newest;
    this.#versions.set(server, version);
    if (isOld) {
      around.trace('version', String(version));
      around.struck(stays ? 'server of the version before' : 'server upgraded');
    }
    return version;
  }

  of(server: NodeId): number {
    return this.#versions.get(server) ?? PROTOCOL_VERSIONS.oldest;
  }
}

/** I20: a server of an older version is never handed what only newer ones know; it would have to end. */
export class VersionedMachine extends TaskMachine {
  readonly #version: number;

  constructor(version: number, segmentTasks: number) {
    super({ segmentTasks });
    this.#version = version;
  }

  override apply(command: CommittedCommand): ApplyResult {
    if (this.#version < PROTOCOL_VERSIONS.newest) {
      for (const op of decodeEntry(command.payload)?.ops ?? [])
        this.#check(op.op === 'version' ? op.version : versionOf(op), `entry ${String(command.index)}`);
    }
    return super.apply(command);
  }

  override async restore(...args: Parameters<TaskMachine['restore']>): Promise<void> {
    await super.restore(...args);
    this.#check(this.state.version, `the snapshot as of ${String(args[0].index)}`);
  }

  #check(needed: number, where: string): void {
    const version = this.#version;
    check(
      needed <= version,
      'I20',
      () => `${where} needs version ${String(needed)}, the server is of ${String(version)}`,
    );
  }
}
