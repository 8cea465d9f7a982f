import type {
  Input,
  LogIndex,
  Message,
  NodeId,
  RaftStatus,
  RecoveredState,
  SnapshotMeta,
  Term,
} from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { RaftMetrics } from '../raft-metrics.ts';
import type { RaftSettings } from '../raft-settings.ts';
import type { StateMachine } from '../state-machine.ts';
import type { ChunkTotals, KvRaftStorage } from '../storage/raft-storage.ts';
import type { Timers } from '../timers.ts';
import type { RaftTransport } from '../transport/transport.ts';
import { Applier } from './applier.ts';
import { Flusher } from './flusher.ts';
import { neededAfter } from './log-needs.ts';
import { Proposals } from './proposals.ts';
import { ReadBarriers } from './read-barriers.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { SnapshotWriter } from './snapshot-writer.ts';
import { Ticker } from './ticker.ts';

/** Everything that waits, around one core. */
export interface Parts<Result> {
  readonly flusher: Flusher;
  readonly applier: Applier<Result>;
  readonly commands: Proposals<Result>;
  readonly configs: Proposals<null>;
  readonly barriers: ReadBarriers;
  readonly snapshots: SnapshotWriter;
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  readonly ticker: Ticker;
}

export interface PartsOptions<Result> {
  readonly id: NodeId;
  readonly machine: StateMachine<Result>;
  readonly transport: RaftTransport;
  readonly timers: Timers;
  readonly random: (boundExclusive: number) => number;
  readonly log: RaftLogger;
  readonly metrics: RaftMetrics;
  readonly settings: RaftSettings;
  readonly storage: KvRaftStorage;
  readonly recovered: RecoveredState;
}

/** How the parts reach the loop. */
export interface Loop {
  readonly input: (input: Input) => void;
  readonly tick: () => void;
  readonly ticksUntilDue: () => number;
  readonly applied: (through: LogIndex, entries: number, bytes: number) => void;
  readonly install: (meta: SnapshotMeta, totals: ChunkTotals, generation: number) => Promise<boolean>;
  readonly currentTerm: () => Term;
  readonly status: () => RaftStatus;
  readonly fail: (error: unknown) => void;
}

export function createParts<Result>(options: PartsOptions<Result>, loop: Loop): Parts<Result> {
  const { machine, timers, metrics, settings, storage, recovered } = options;
  const onFailed = loop.fail;
  const committed = (seconds: number): void => metrics.committed(seconds);
  const commands = new Proposals<Result>(committed);
  const configs = new Proposals<null>(committed);
  const flusher = new Flusher({
    storage,
    takeDirty: () => machine.takeDirty(),
    timers,
    metrics,
    superblockLagMs: settings.superblockLagMs,
    onPersisted: (writeId) => loop.input({ kind: 'persisted', writeId }),
    onFailed,
  });
  const applier = new Applier<Result>({
    machine,
    commands,
    configs,
    timers,
    sliceMs: settings.applySliceMs,
    appliedIndex: recovered.snapshot.index,
    onApplied: loop.applied,
    onFailed,
  });
  const barriers = new ReadBarriers({
    timers,
    timeoutMs: settings.readBarrierMs,
    ask: (readId, lazy) => loop.input({ kind: 'readIndex', readId, lazy }),
    appliedIndex: () => applier.appliedIndex,
  });
  const ticker = new Ticker({
    timers,
    tickMs: settings.tickMs,
    stallTicks: settings.stallTicks,
    ticksUntilDue: loop.ticksUntilDue,
    onTick: loop.tick,
  });
  return { flusher, applier, commands, configs, barriers, ticker, ...snapshotParts(options, loop, flusher) };
}

function snapshotParts<Result>(
  options: PartsOptions<Result>,
  loop: Loop,
  flusher: Flusher,
): Pick<Parts<Result>, 'snapshots' | 'sender' | 'receiver'> {
  const { id, machine, transport, timers, random, log, metrics, settings, storage } = options;
  const send = (message: Message): void => transport.send(message.to, message);
  const silentTicksMax = Math.ceil(settings.contactMs / settings.tickMs);
  const snapshots: SnapshotWriter = new SnapshotWriter({
    machine,
    storage,
    flusher,
    timers,
    random,
    metrics,
    everyEntries: settings.snapshotEveryEntries,
    everyBytes: settings.snapshotEveryBytes,
    trailing: { entries: settings.trailingEntries, bytes: settings.trailingBytes },
    needed: () => ({
      after: neededAfter(loop.status(), (peer) => sender.sendingTo(peer), silentTicksMax),
      bytes: settings.catchUpBytesMax,
    }),
    onTaken: (meta, compactThrough) => loop.input({ kind: 'snapshotTaken', meta, compactThrough }),
  });
  const sender = new SnapshotSender({
    self: id,
    storage,
    storedAt: (index, key, value) => machine.storedAt(index, key, value),
    send,
    timers,
    log,
    resendMs: settings.chunkResendMs,
    resendsMax: settings.chunkResendsMax,
    onEnded: (to, meta, ok) => loop.input({ kind: 'snapshotSent', to, meta, ok }),
    onFailed: loop.fail,
  });
  const receiver = new SnapshotReceiver({
    self: id,
    storage,
    flusher,
    send,
    log,
    currentTerm: loop.currentTerm,
    install: loop.install,
    onBegin: () => snapshots.abort(),
    onFailed: loop.fail,
  });
  return { snapshots, sender, receiver };
}
