/**
 * What each kind of node is told at its start. The command line makes these from its flags (docs/cli.md has them with
 * their defaults); the composition in this folder builds the node from them. All values are checked already: ports are
 * 1-65535, paths are absolute, ids match {@link NODE_ID_PATTERN}.
 */

/** Node ids are host names in compose and keys of labels and logs: letters, digits, dot, dash, underscore. */
export const NODE_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A voter of the first configuration, this server included. */
export interface PeerAddress extends HostPort {
  readonly id: string;
}

/** When the master runs tasks itself (contract: `fallback` = only while no other eligible node is ready). */
export type LeaderExecutes = 'fallback' | 'always' | 'never';

/** What every node that serves HTTP has in common. */
export interface ListenOptions {
  readonly id: string;
  readonly port: number;
  /** Address to bind; 127.0.0.1 unless told. Anything else needs a token or `noToken`. */
  readonly host: string;
  /** host:port under which others reach this node; null: `host:port` as bound. */
  readonly advertise: HostPort | null;
  readonly dataDir: string;
  /** Shared secret of the cluster; null: none. */
  readonly token: string | null;
  /** The user said explicitly that no token is wanted although `host` is not a loopback address. */
  readonly noToken: boolean;
  /** Further names accepted in the `Host` header. */
  readonly allowHosts: readonly string[];
  /** Number in `CONTAINER_ID,LINE`; null: the one that goes with the id (server1-3: 1-3, worker1: 4, client: 5, database: 6). */
  readonly containerNumber: number | null;
}

/** What every node that runs tasks has in common. */
export interface ExecutorOptions {
  /** Base URL of the database node (http://host:port); null: lines are kept here only. */
  readonly databaseUrl: string | null;
  /** Tasks at a time; null: the CPU count of the node (its cgroup's). */
  readonly slots: number | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Serves /stop (simulated crash). */
  readonly faultInjection: boolean;
}

export interface ServerOptions extends ListenOptions, ExecutorOptions {
  /** Every voter with this server among them; empty where `join` is given. */
  readonly peers: readonly PeerAddress[];
  readonly leaderExecutes: LeaderExecutes;
  /** Servers of a running cluster to be added to; empty: `peers` is the first configuration. */
  readonly join: readonly HostPort[];
  /** With `join`: it stays a learner, without a vote. */
  readonly learner: boolean;
  /** Port named in the log lines of tasks that did not come through a client node. */
  readonly clientPort: number;
  /** Tasks not yet final; beyond it submits get 429. Counts while this server is the master. */
  readonly queuedTasksMax: number;
  /** How long, and how many, finished tasks are kept. What this server asks for while it is the master. */
  readonly retention: { readonly ageMs: number; readonly tasksMax: number };
}

export interface WorkerOptions extends ListenOptions, ExecutorOptions {
  readonly servers: readonly HostPort[];
}

export interface ClientOptions extends ListenOptions {
  readonly servers: readonly HostPort[];
  readonly databaseUrl: string | null;
}

export type DatabaseOptions = ListenOptions;

/** Everything on this machine: three servers, `workers` workers, client, database, each a process of its own. */
export interface UpOptions {
  readonly dataDir: string;
  /** The six nodes listen on portBase + 1 … portBase + 6, further workers behind them. */
  readonly portBase: number;
  readonly workers: number;
  readonly token: string | null;
  /** A live screen on this terminal; absent: plain lines. */
  readonly screen?: { readonly color: boolean };
}

/**
 * What src/node/index.ts exports. Each runs until the process is told to end, then resolves; rejects with an error
 * that has an `exitCode` (or none: 1) where the node could not start or had to give up.
 */
export type RunServer = (options: ServerOptions) => Promise<void>;
export type RunWorker = (options: WorkerOptions) => Promise<void>;
export type RunClient = (options: ClientOptions) => Promise<void>;
export type RunDatabase = (options: DatabaseOptions) => Promise<void>;
export type RunUp = (options: UpOptions) => Promise<void>;
