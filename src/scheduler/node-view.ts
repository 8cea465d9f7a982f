import type { NodeView } from '../api/views.ts';
import type { Master } from './master/master.ts';
import type { NodeRecord } from './state/records.ts';
import type { TaskMachine } from './task-machine.ts';
import { isoTime } from './task-view.ts';

export interface NodeSurroundings {
  readonly master: Master;
  readonly machine: TaskMachine;
  /** Ids of the nodes that may get tasks now; of meaning on the master only. */
  readonly eligible: ReadonlySet<string>;
  readonly leader: string | null;
}

/** A node in the words of the API. What is live of it (its load, whether it is connected) only the master knows. */
export function nodeView(
  record: NodeRecord,
  { master, machine, eligible, leader }: NodeSurroundings,
): NodeView {
  const live = master.leading ? master.fleet.get(record.id) : undefined;
  const connected = live === undefined || live.session !== null;
  const status = !record.up
    ? 'down'
    : !connected
      ? 'disconnected'
      : record.draining || live?.leaving === true
        ? 'draining'
        : 'ready';
  return {
    id: record.id,
    role: record.role,
    address: record.address,
    status,
    eligible: master.leading ? eligible.has(record.id) : status === 'ready',
    cpu: live?.cpu ?? null,
    memory: live?.memory ?? null,
    slots: record.slots,
    running: machine.state.tasks.onNode(record.id).size,
    labels: record.labels,
    lastSeenAt: live?.lastSeenWallMs == null ? null : isoTime(live.lastSeenWallMs),
    leader: record.id === leader,
  };
}
