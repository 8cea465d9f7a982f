/** The typed client: what `import { Clb } from 'clb'` gives. */
export { Clb } from './clb.ts';
export type { ServerRaft } from './cluster-client.ts';
export type { CallOptions, ClbOptions, ReadOptions, WaitOptions } from './options.ts';
export { AddressError, DEFAULT_SERVERS } from './address.ts';
export { ClbError, NoServerError } from './errors.ts';
export type { ServerSaid } from './errors.ts';
export type { SubscribeOptions } from './event-stream.ts';
export type { OutputOptions } from './output.ts';
export type { BatchOptions, SubmitOptions } from './submitter.ts';
export type { TaskOutcome } from './waits.ts';
export type {
  AttemptView,
  BatchResultItem,
  FinalStatus,
  TaskEvent,
  TaskListQuery,
  TaskPage,
  TaskRequest,
  TaskResult,
  TaskStatus,
  TaskView,
} from '../api/tasks.ts';
export { isFinal } from '../api/tasks.ts';
export type { AddPeerRequest, PeersView, PeerView, SnapshotView } from '../api/peers.ts';
export type { ScheduleRequest, ScheduleView } from '../api/schedules.ts';
export type {
  ClusterEvent,
  EventMessage,
  LeadView,
  NodeView,
  OutputStream,
  QueueView,
  RaftLogEntryView,
  RaftView,
} from '../api/views.ts';
