import { join } from 'node:path';
import type { UpOptions } from '../options.ts';

/**
 * Flags of node for every node's process. Under load a server makes garbage by the megabyte per log entry: with V8's own
 * 16 MiB for the young much of it would be copied twice before it dies (a seventh of a follower's time). Idle nodes don't
 * grow it.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=32'];

/** One process of `clb up`. */
export interface PlannedNode {
  readonly id: string;
  readonly kind: 'server' | 'worker' | 'client' | 'database';
  readonly port: number;
  /** Arguments of `clb` that start it. */
  readonly args: readonly string[];
}

const SERVER_PORTS: readonly (readonly [id: string, offset: number])[] = [
  ['server1', 2],
  ['server2', 4],
  ['server3', 5],
];
/** Contract §1: client 3001, database 3003, worker1 3006, further workers behind it. */
const CLIENT_OFFSET = 1;
const DATABASE_OFFSET = 3;
const FIRST_WORKER_OFFSET = 6;

/** The processes of a whole cluster on this machine: three servers, the workers, client and database. */
export function planNodes(options: UpOptions): readonly PlannedNode[] {
  const port = (offset: number): number => options.portBase + offset;
  const at = (offset: number): string => `127.0.0.1:${port(offset)}`;
  const common = (id: string, offset: number): string[] => [
    '--port',
    String(port(offset)),
    '--data',
    join(options.dataDir, id),
  ];
  const database = ['--database', `http://${at(DATABASE_OFFSET)}`];
  const peers = SERVER_PORTS.map(([id, offset]) => `${id}=${at(offset)}`).join(',');
  const servers = SERVER_PORTS.map(([, offset]) => at(offset)).join(',');

  const nodes: PlannedNode[] = [
    {
      id: 'database',
      kind: 'database',
      port: port(DATABASE_OFFSET),
      args: ['database', ...common('database', DATABASE_OFFSET)],
    },
  ];
  for (const [id, offset] of SERVER_PORTS) {
    nodes.push({
      id,
      kind: 'server',
      port: port(offset),
      args: [
        'server',
        '--id',
        id,
        ...common(id, offset),
        '--peers',
        peers,
        ...database,
        '--client-port',
        String(port(CLIENT_OFFSET)),
        '--fault-injection',
      ],
    });
  }
  for (let number = 1; number <= options.workers; number += 1) {
    const id = `worker${number}`;
    const offset = FIRST_WORKER_OFFSET + number - 1;
    nodes.push({
      id,
      kind: 'worker',
      port: port(offset),
      args: [
        'worker',
        '--id',
        id,
        ...common(id, offset),
        '--servers',
        servers,
        ...database,
        '--fault-injection',
      ],
    });
  }
  nodes.push({
    id: 'client',
    kind: 'client',
    port: port(CLIENT_OFFSET),
    args: ['client', ...common('client', CLIENT_OFFSET), '--servers', servers, ...database],
  });
  return nodes;
}
