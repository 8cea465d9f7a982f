/**
 * A saturating load for minutes: is there an election, does memory grow, does the data folder?
 * `node --import tsx bench/soak.ts [--minutes 10] [--clients 256] [--keep-tasks N]`. Linux only. Prints one JSON line a minute and one at the end.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Clb } from '../src/sdk/index.ts';
import { startBenchCluster } from './bench-cluster.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
const MINUTES = option('--minutes', 10);
const CLIENTS = option('--clients', 256);
const TASK = { command: ['echo', 'p'.repeat(200)] };

/** Finished tasks kept; few of them show early whether memory and folder come to an end of growing. */
const KEEP_TASKS = option('--keep-tasks', 1_000_000);

const { cluster, destroy } = await startBenchCluster(4_096, [], ['--keep-tasks', String(KEEP_TASKS)]);
const clb = new Clb({ servers: [...cluster.servers] });
const servers = cluster.nodes.map(({ id }) => id);
const residentMb = (id: string): number =>
  Math.round(
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cluster.pid(id)}/status`, 'utf8'))?.[1] ?? 0) / 1_024,
  );
/** The data folder; what it prints goes elsewhere. */
const folderMb = (id: string): number =>
  Number(spawnSync('du', ['-sm', join(cluster.folder, id)], { encoding: 'utf8' }).stdout.split('\t')[0]);
const ofServers = (measure: (id: string) => number): object =>
  Object.fromEntries(servers.map((id) => [id, measure(id)]));
const raft = (): Promise<{ readonly term: number; readonly leader: string | null }> =>
  cluster.getAny<{ term: number; leader: string | null }>('/v1/raft');

try {
  const before = await raft();
  const end = performance.now() + MINUTES * 60_000;
  let cycles = 0;
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (performance.now() < end) {
      await clb.outcome(await clb.submit(TASK));
      cycles += 1;
    }
  });
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    const from = cycles;
    await new Promise((wake) => setTimeout(wake, 60_000));
    console.log(
      JSON.stringify({
        minute,
        cycles_s: Math.round((cycles - from) / 60),
        mb: ofServers(residentMb),
        folder_mb: ofServers(folderMb),
        term: (await raft()).term,
      }),
    );
  }
  await Promise.all(clients);
  const after = await raft();
  console.log(
    JSON.stringify({
      soak: { minutes: MINUTES, cycles, elections: after.term - before.term, leader: after.leader },
    }),
  );
} finally {
  clb.close();
  await destroy();
}
