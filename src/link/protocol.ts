/**
 * The conversation between a worker and the master, over one upgraded connection (`Upgrade: clb-worker`).
 * A frame (net/frames.ts) holds a JSON array of messages of one direction. The worker dials; on any server
 * that is not the master it gets `redirect`.
 *
 * An attempt is named by (task id, token). The token is the log index of the entry that assigned it: the fencing token
 * (architecture.md). All times called `monotonicMs` are of the sender's monotonic clock and mean nothing elsewhere.
 */
import type { FileContents, TaskFile } from '../api/task-files.ts';
import type { FinalStatus, TaskResult } from '../api/tasks.ts';
import type { OutputStream } from '../api/views.ts';

export const LINK_PROTOCOL = 'clb-worker';
export const LINK_VERSION = 1;
/** A frame longer than this closes the connection; senders cut their arrays well below (a result is ≤ 0.8 MiB). */
export const LINK_FRAME_BYTES_MAX = 4 * 1024 * 1024;

/** The clock rules (docs/architecture.md, "Leases"). Pause (worker) < lost (master), the difference is the margin. */
export const LEASE = {
  heartbeatMs: 500,
  /** A worker pauses its tasks this long after it SENT the last heartbeat that was acknowledged. */
  pauseAfterMs: 2_500,
  /** The master gives a silent node's tasks to others this long after it RECEIVED the last one it acknowledged. */
  lostAfterMs: 3_300,
} as const;

/** How an attempt is named. */
export interface AttemptRef {
  readonly task: string;
  readonly token: number;
}

/** What the launcher needs to run an attempt. */
export interface RunSpec {
  readonly script: string | null;
  readonly command: readonly string[] | null;
  readonly interpreter: string | null;
  readonly stdin: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly timeoutMs: number | null;
  readonly memoryMb: number;
  readonly onDisconnect: 'pause' | 'stop' | 'continue';
  /** Put into the scratch folder. */
  readonly files: readonly TaskFile[];
  /** Patterns of files kept of it. */
  readonly collect: readonly string[];
}

/** CPU and memory in percent of what the node (its cgroup) may use. */
export interface ResourceSample {
  readonly cpu: number;
  readonly memory: number;
}

export type WorkerToMaster =
  | {
      readonly kind: 'hello';
      readonly version: number;
      readonly node: string;
      readonly role: 'server' | 'worker';
      /** Random, made once per data folder: tells two processes that claim the same id apart. */
      readonly instance: string;
      /** host:port under which the node's own HTTP routes are reached. */
      readonly address: string;
      readonly slots: number;
      /** Cores and memory the node (its cgroup) may use. */
      readonly cpus: number;
      readonly memoryMb: number;
      readonly labels: Readonly<Record<string, string>>;
      /** Everything this node holds: attempts in its launcher (running or paused) and results in its outbox (ended). */
      readonly held: readonly (AttemptRef & { readonly state: 'running' | 'ended' })[];
      readonly sample: ResourceSample | null;
      /** The node asked to be given no more work (it is being stopped in order). */
      readonly leaving: boolean;
    }
  | {
      readonly kind: 'heartbeat';
      readonly seq: number;
      /** Only when a new one was taken. */
      readonly sample: ResourceSample | null;
      /** Now and then: tasks of which this node keeps output. */
      readonly kept?: readonly string[];
    }
  /** The process exists. */
  | (AttemptRef & { readonly kind: 'started' })
  /** The attempt is over and no process of it is left; sent again on every new connection until `recorded`. */
  | (AttemptRef & {
      readonly kind: 'finished';
      readonly outcome: FinalStatus;
      readonly reason: string | null;
      /** Milliseconds it ran, pauses excluded. */
      readonly runMs: number;
      readonly result: TaskResult;
      /** Of the collected files, those that are to be replicated. */
      readonly contents?: FileContents;
    })
  /**
   * Given back unfinished; no process of it is left, no attempt is used up. `fault`: not because the node is being stopped in
   * order, but because something that runs tasks on it died.
   */
  | (AttemptRef & { readonly kind: 'released'; readonly reason: string; readonly fault?: true })
  | {
      readonly kind: 'output';
      readonly request: number;
      /** base64 of the bytes from the offset asked on. */
      readonly data: string;
      readonly nextOffset: number;
      /** The attempt is over and this was the last of it. */
      readonly end: boolean;
    }
  | { readonly kind: 'outputError'; readonly request: number; readonly message: string }
  /** Orderly end: nothing is held any more. */
  | { readonly kind: 'goodbye' };

export type MasterToWorker =
  /** First answer of a master: the lease starts with the heartbeats. `keep`: still yours; resume it if it was paused. */
  | {
      readonly kind: 'welcome';
      readonly leader: string;
      readonly term: number;
      readonly verdicts: readonly (AttemptRef & { readonly verdict: 'keep' | 'kill' })[];
      /** host:port of every server there is now; absent: an older master does not tell. */
      readonly servers?: readonly string[];
    }
  /** Not the master. `leader`: its id if known; dial the configured address where that id answered. */
  | {
      readonly kind: 'redirect';
      readonly self: string;
      readonly leader: string | null;
      readonly leaderAddress: string | null;
    }
  /** Can't be served until something is changed (same id twice, other version, …): logged, retried slowly. */
  | { readonly kind: 'refuse'; readonly self: string; readonly reason: string }
  /** Sent only after a quorum round that started after the heartbeat was received. */
  | {
      readonly kind: 'heartbeatAck';
      readonly seq: number;
      /** Of the tasks named in `kept`, those that the cluster does not keep any more: their output is to go, too. */
      readonly forget?: readonly string[];
      /** As in the welcome, once they have changed. */
      readonly servers?: readonly string[];
    }
  /** Start it, unless the token is known here already. `number`: the attempt's number, for CLB_ATTEMPT. */
  | (AttemptRef & { readonly kind: 'run'; readonly number: number; readonly spec: RunSpec })
  /** End it (SIGTERM, grace, SIGKILL). canceled: report `finished` with that outcome; superseded: report nothing. */
  | (AttemptRef & { readonly kind: 'kill'; readonly why: 'canceled' | 'superseded' })
  /** The outcome is in the log (or was refused for good): drop it from the outbox. */
  | (AttemptRef & { readonly kind: 'recorded'; readonly accepted: boolean })
  /** Answer with `output`, at once if there are bytes (or it is over), else when there are, or after waitMs with none. */
  | (AttemptRef & {
      readonly kind: 'readOutput';
      readonly request: number;
      readonly stream: OutputStream;
      readonly offset: number;
      readonly maxBytes: number;
      readonly waitMs: number;
    })
  /** Answer with `output`: bytes of a collected file that is kept on this node. */
  | (AttemptRef & {
      readonly kind: 'readFile';
      readonly request: number;
      readonly path: string;
      readonly offset: number;
      readonly maxBytes: number;
    })
  /** This node's sample was weighed for a task: write the original's CPU and RAM lines. */
  | { readonly kind: 'considered'; readonly cpu: number; readonly memory: number };

/** One end of a link. Implemented over a socket, and by the simulator. */
export interface LinkConnection<Out, In> {
  /** Never blocks and never throws; messages of one turn of the event loop share frames. Closed if its queue overflows. */
  send(message: Out): void;
  close(): void;
  /** Set before the first message can arrive; called in order. */
  onMessage: ((message: In) => void) | null;
  /** Called once, with a reason for the log. */
  onClose: ((reason: string) => void) | null;
}
