/**
 * Does a server that comes back slow the others down? Under a saturating load a follower is killed, started again after
 * some minutes, and caught up (by a snapshot, since the others have compacted their logs meanwhile).
 * `node --import tsx bench/follower-return.ts [--minutes 2] [--clients 256]`. Prints one JSON line a phase and one at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RaftView } from '../src/api/views.ts';
import { Clb } from '../src/sdk/index.ts';
import { eventually } from '../test/cluster/processes.ts';
import { startBenchCluster } from './bench-cluster.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
const STOPPED_MS = option('--minutes', 2) * 60_000;
const CLIENTS = option('--clients', 256);
const TASK = { command: ['echo', 'p'.repeat(200)] };
const WARM_UP_MS = 20_000;
/** All three servers run. */
const WHOLE_MS = 60_000;
/** Entries behind the master at which it counts as caught up: what is on its way in any case. */
const LAG_MAX = 2_000;

const { cluster, destroy } = await startBenchCluster(4_096);
const clb = new Clb({ servers: [...cluster.servers] });
const load = { over: false };
let cycles = 0;

interface Phase {
  readonly phase: string;
  readonly seconds: number;
  readonly cycles_s: number;
}

/** Counts cycles until `done` resolves. */
async function phase(name: string, done: Promise<unknown>): Promise<Phase> {
  const from = cycles;
  const startMs = performance.now();
  await done;
  const seconds = (performance.now() - startMs) / 1_000;
  const told = {
    phase: name,
    seconds: Math.round(seconds * 10) / 10,
    cycles_s: Math.round((cycles - from) / seconds),
  };
  console.log(JSON.stringify(told));
  return told;
}

async function caughtUp(id: string): Promise<boolean> {
  const own = await cluster.raft(id).catch((): RaftView | null => null);
  if (own === null) return false;
  const { commitIndex } = await cluster.raft(await cluster.master());
  return commitIndex - own.appliedIndex <= LAG_MAX;
}

try {
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!load.over) {
      await clb.outcome(await clb.submit(TASK));
      cycles += 1;
    }
  });
  const termBefore = (await cluster.raft(await cluster.master())).term;
  await phase('warm-up', sleep(WARM_UP_MS));
  const whole = await phase('all three', sleep(WHOLE_MS));
  const master = await cluster.master();
  const follower = cluster.serverIds.find((id) => id !== master);
  if (follower === undefined) throw new Error('there is no follower');
  const left = (await cluster.raft(follower)).lastIndex;
  await cluster.signal(follower, 'SIGKILL');
  const without = await phase('one stopped', sleep(STOPPED_MS));
  const { firstIndex } = await cluster.raft(master);
  cluster.startNode(follower);
  const catching = await phase(
    'it catches up',
    eventually('the follower has caught up', () => caughtUp(follower), 300_000),
  );
  const after = await phase('all three again', sleep(WHOLE_MS));
  load.over = true;
  await Promise.all(clients);
  const ratio = (a: Phase, b: Phase): number => Math.round((a.cycles_s / b.cycles_s) * 100) / 100;
  console.log(
    JSON.stringify({
      follower_return: {
        by: left < firstIndex ? 'snapshot' : 'log',
        elections: (await cluster.raft(await cluster.master())).term - termBefore,
        stopped_to_whole: ratio(without, whole),
        catching_up_to_stopped: ratio(catching, without),
        after_to_whole: ratio(after, whole),
      },
    }),
  );
} catch (error) {
  // What is under way is cut off below, and would be heard of instead.
  console.error(error);
  process.exitCode = 1;
} finally {
  load.over = true;
  clb.close();
  await destroy();
}
