/**
 * What Node can reach at all, beside CLB: a leader and two followers, each a process with a LevelDB of its own, and a client in
 * a fourth. A task cycle is two commits, each durable on a majority before it is answered; there are no elections, no tasks
 * and no HTTP. 1, 64, 256 and 1,024 clients over one TCP connection. Prints one JSON line.
 *
 *     node --import tsx bench/peers/floor.ts [--secs 2.5] [--dir FOLDER]
 *
 * `--secs`: how long each load lasts. `--dir`: where the logs are made (default: the system's folder for temporary files).
 */
import { join } from 'node:path';
import { Leader } from './floor/leader.ts';
import { messageOf, PeerProcesses, readOptions } from './harness.ts';
import type { LoadResult } from './load.ts';

const { secs, dir } = readOptions({ secs: 2.5 });
const CLIENTS = [1, 64, 256, 1_024] as const;

const processes = new PeerProcesses(dir);

async function startFollower(name: string): Promise<number> {
  const follower = processes.fork('floor/follower.ts', [join(processes.folder, name)]);
  return messageOf(follower, (message) => typeof message === 'number');
}

async function load(leaderPort: number, clients: number, loadSecs: number): Promise<LoadResult> {
  const client = processes.fork('floor/client.ts', [leaderPort, clients, loadSecs]);
  return messageOf(client, (message): message is LoadResult => typeof message === 'object');
}

const followerPorts = await Promise.all([startFollower('follower1'), startFollower('follower2')]);
const leader = await Leader.start(join(processes.folder, 'leader'), followerPorts);
const port = await leader.serve();
await load(port, 64, 1); // warm
const cycles: Record<string, { tasks_s: number; p50: number; p99: number }> = {};
for (const clients of CLIENTS) {
  const { per_s, p50, p99 } = await load(port, clients, secs);
  cycles[`tcp_taskcycle_c${clients}`] = { tasks_s: per_s, p50, p99 };
}
console.log(JSON.stringify(cycles));
process.exit(0);
