/**
 * A Raft library: consensus over LevelDB and HTTP Upgrade connections, for any deterministic state machine. Knows nothing of
 * the tasks this project replicates with it. src/raft/README.md explains how the parts work together.
 */
export type { Consensus, ProposeResult, ReadBarrierResult, RoleChange } from './consensus.ts';
export { TRANSFERRING } from './consensus.ts';
export { RaftCore } from './core/raft-core.ts';
export type * from './core/types.ts';
export { FrameDecoder, encodeFrame } from '../net/frames.ts';
export { UpgradeRouter, dialUpgrade } from '../net/upgrade.ts';
export { silentLogger } from './raft-logger.ts';
export type { RaftLogger } from './raft-logger.ts';
export { noMetrics } from './raft-metrics.ts';
export type { RaftMetrics } from './raft-metrics.ts';
export { RaftNode } from './raft-node.ts';
export type { RaftNodeOptions } from './raft-node-options.ts';
export { RAFT_DEFAULTS } from './raft-settings.ts';
export type { RaftSettings } from './raft-settings.ts';
export type { CommittedCommand, StateMachine } from './state-machine.ts';
export { diskFreeBytes } from './storage/disk-space.ts';
export type { KvOp, KvRange, KvStore, KvView } from './storage/kv-store.ts';
export { KEY_DIGITS, keyNumber } from './storage/kv-store.ts';
export { LevelKv } from './storage/level-kv.ts';
export { MemoryKv } from './storage/memory-kv.ts';
export type { MemoryDisk } from './storage/memory-kv.ts';
export { recoverAlone } from './storage/recover-alone.ts';
export type { Recovered, RecoverOptions } from './storage/recover-alone.ts';
export { FolderReplacedError, StorageCorruptError, StorageError } from './storage/storage-errors.ts';
export type { StorageErrorCode } from './storage/storage-errors.ts';
export { systemTimers } from './timers.ts';
export type { Timers } from './timers.ts';
export { HttpTransport } from './transport/http-transport.ts';
export type { HttpTransportOptions } from './transport/http-transport.ts';
export { MemoryNetwork, MemoryTransport } from './transport/memory-transport.ts';
export type { PeerAddress, TransportSettings } from './transport/transport-settings.ts';
export { PROTOCOL_VERSIONS } from './transport/versions.ts';
export type { VersionRange } from './transport/versions.ts';
export type { RaftTransport } from './transport/transport.ts';
