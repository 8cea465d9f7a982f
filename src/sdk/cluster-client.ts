/** The calls about the cluster itself: nodes, the queue, schedules, consensus and who takes part in it. */
import type { AuditLine } from '../api/audit.ts';
import type { AddPeerRequest, PeersView, SnapshotView } from '../api/peers.ts';
import type { ScheduleRequest, ScheduleView } from '../api/schedules.ts';
import type { LeadView, NodeView, QueueView, RaftLogEntryView, RaftView } from '../api/views.ts';
import { readAudit } from './audit.ts';
import { Calls, withQuery } from './calls.ts';
import { ClbError } from './errors.ts';
import type { CallOptions, ReadOptions } from './options.ts';
import type { ServerPool } from './server-pool.ts';

/** One server's own view of consensus, or why there is none. */
export type ServerRaft =
  | { readonly kind: 'ok'; readonly server: string; readonly raft: RaftView }
  | {
      readonly kind: 'error';
      readonly server: string;
      /** Its id, where it said that much (a stopped node does) or is known from before. */
      readonly id: string | null;
      readonly error: ClbError;
    };

/** A new server is brought up to date before it is answered. */
const ADD_PEER_MS = 75_000;
const SNAPSHOT_MS = 60_000;

/** The part of the library's client that a task has nothing to do with. */
export class ClusterClient {
  readonly #pool: ServerPool;
  readonly #calls: Calls;

  protected constructor(pool: ServerPool) {
    this.#pool = pool;
    this.#calls = new Calls(pool);
  }

  /** The addresses as given. */
  get servers(): readonly string[] {
    return this.#pool.servers;
  }

  async nodes(options: ReadOptions = {}): Promise<readonly NodeView[]> {
    return (await this.#calls.read<{ nodes: readonly NodeView[] }>('/v1/nodes', {}, options)).nodes;
  }

  /** Gives the node no further tasks (or again). After `deadlineMs` those still running there are given to others. */
  async drain(
    node: string,
    options: CallOptions & { readonly drain?: boolean; readonly deadlineMs?: number } = {},
  ): Promise<void> {
    const { drain = true, deadlineMs } = options;
    const body = { drain, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
    await this.#calls.post(`${nodePath(node)}/drain`, body, 'always', options);
  }

  /** Simulated crash (`true`) and recovery of a node, through any other; where fault injection is on. */
  async stopNode(node: string, stopped: boolean, options: CallOptions = {}): Promise<void> {
    await this.#calls.post(`${nodePath(node)}/stop`, { stopped }, 'always', options);
  }

  /** Whether the queue is paused, and how many tasks are not final yet. */
  queue(options: ReadOptions = {}): Promise<QueueView> {
    return this.#calls.read<QueueView>('/v1/queue', {}, options);
  }

  /** Stops placing tasks on nodes (`true`), or goes on with it; what runs is not touched. */
  pauseQueue(paused: boolean, options: CallOptions = {}): Promise<QueueView> {
    return this.#calls.post<QueueView>('/v1/queue', { paused }, 'always', options);
  }

  /** Makes a task again and again. Not repeated by itself once it may have been received: that could make two of them. */
  addSchedule(request: ScheduleRequest, options: CallOptions = {}): Promise<ScheduleView> {
    return this.#calls.post<ScheduleView>('/v1/schedules', request, 'unless-sent', options);
  }

  async schedules(options: ReadOptions = {}): Promise<readonly ScheduleView[]> {
    const path = '/v1/schedules';
    return (await this.#calls.read<{ schedules: readonly ScheduleView[] }>(path, {}, options)).schedules;
  }

  /** Resolves to the full id. @throws ClbError NOT_FOUND; CONFLICT where the prefix is ambiguous */
  async removeSchedule(id: string, options: CallOptions = {}): Promise<string> {
    const path = `/v1/schedules/${encodeURIComponent(id)}`;
    return (await this.#calls.delete<{ readonly id: string }>(path, 'unless-sent', options)).id;
  }

  /** Consensus as one server sees it: the one named (an address as given), else any that answers. */
  raft(server?: string, options: CallOptions = {}): Promise<RaftView> {
    return this.#calls.getFrom<RaftView>('/v1/raft', { ...options, server });
  }

  /** Every given address asked at once, in the order given. */
  raftAll(options: CallOptions = {}): Promise<readonly ServerRaft[]> {
    return Promise.all(
      this.servers.map(async (server): Promise<ServerRaft> => {
        try {
          return { kind: 'ok', server, raft: await this.raft(server, options) };
        } catch (error) {
          if (error instanceof ClbError)
            return { kind: 'error', server, id: this.#pool.nodeIdOf(server), error };
          throw error;
        }
      }),
    );
  }

  /** Decoded log entries as one server has them. */
  async raftLog(
    range: { readonly from?: number; readonly to?: number; readonly server?: string } = {},
    options: CallOptions = {},
  ): Promise<readonly RaftLogEntryView[]> {
    const { server, from, to } = range;
    const path = withQuery('/v1/raft/log', { from, to });
    const log = await this.#calls.getFrom<{ entries: readonly RaftLogEntryView[] }>(path, {
      ...options,
      server,
    });
    return log.entries;
  }

  /**
   * Makes this server the master; resolves once it is. @throws ClbError NOT_FOUND where there is no such voter; CONFLICT
   * where it can't be reached, or did not take the lead in time.
   */
  transferLeadership(to: string, options: CallOptions = {}): Promise<LeadView> {
    return this.#calls.post<LeadView>('/v1/raft/transfer', { to }, 'always', options);
  }

  /** Who takes part in consensus, as one server knows it: the one named (an address as given), else any that answers. */
  peers(server?: string, options: CallOptions = {}): Promise<PeersView> {
    return this.#calls.getFrom<PeersView>('/v1/raft/peers', { ...options, server });
  }

  /**
   * Adds a server that runs already; resolves once it has its vote, or takes part as a learner. Twice is the same as once.
   * @throws ClbError CONFLICT with `details.reason`: see docs/http-api.md
   */
  addPeer(id: string, request: AddPeerRequest, options: CallOptions = {}): Promise<PeersView> {
    return this.#calls.post<PeersView>(peerPath(id), request, 'always', {
      ...options,
      timeoutMs: ADD_PEER_MS,
    });
  }

  /** Removes a server, the master too; resolves once it is committed. Its id can't be used again. */
  removePeer(id: string, options: CallOptions = {}): Promise<PeersView> {
    return this.#calls.delete<PeersView>(peerPath(id), 'always', options);
  }

  /** Has one server take a snapshot and drop the log before it: the one named (an address as given), else any that answers. */
  takeSnapshot(server?: string, options: CallOptions = {}): Promise<SnapshotView> {
    return this.#calls.postTo<SnapshotView>('/v1/raft/snapshot', {
      ...options,
      server,
      timeoutMs: SNAPSHOT_MS,
    });
  }

  /**
   * What one server has, log and tasks, line by line, to be checked (docs/verify.md). `server`: an address as given to the
   * constructor.
   */
  audit(server: string, options: CallOptions = {}): AsyncGenerator<AuditLine, void, undefined> {
    return readAudit(this.#pool, server, options.signal);
  }
}

function nodePath(id: string): string {
  return `/v1/nodes/${encodeURIComponent(id)}`;
}

function peerPath(id: string): string {
  return `/v1/raft/peers/${encodeURIComponent(id)}`;
}
