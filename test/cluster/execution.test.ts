/**
 * Goal: what people rely on when processes of a node die, with a real cluster, real Python payloads and `kill -9`. The
 * payloads write down again and again that they run, by the clock of the machine, so what is asserted does not come from
 * the cluster: at no moment do two attempts of a task run, what survives loses nothing, what can't is run elsewhere.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ErrorBody } from '../../src/api/errors.ts';
import type { TaskFilesView } from '../../src/api/task-files.ts';
import { isFinal } from '../../src/api/tasks.ts';
import type { TaskRequest, TaskView } from '../../src/api/tasks.ts';
import { Clb } from '../../src/sdk/clb.ts';
import { beatingPayload, beatingUntil, overlaps, readTrace, ranMs } from './payloads.ts';
import { eventually, launcherPids, ProcessCluster, processesMatching } from './processes.ts';

const MANY = 100;
/** Often enough to see two copies alive at once, which leases keep more than this apart. */
const BEAT_S = 0.5;
/** Not how long it takes (bench/worker-loss.ts measures that): starting so many interpreters takes a small machine its time. */
const HANGS_MS = 180_000;

describe('execution on a real cluster', { timeout: 900_000 }, () => {
  let cluster: ProcessCluster;
  let clb: Clb;
  let count = 0;
  const gates: string[] = [];

  before(async () => {
    cluster = await ProcessCluster.start({
      workers: 2,
      only: ['server1', 'server2', 'server3', 'worker1', 'worker2'],
      extraArgs: { server: ['--slots', '0'], worker: ['--slots', String(MANY)] },
    });
    clb = new Clb({ servers: cluster.servers });
  });
  after(async () => {
    clb.close();
    await cluster.destroy();
  });
  /** A test that failed in the middle leaves neither payloads in the slots nor nodes away: the next one is none the worse. */
  afterEach(async () => {
    for (const gate of gates.splice(0)) writeFileSync(gate, '');
    for (const { id } of cluster.nodes) if (!cluster.isRunning(id)) cluster.startNode(id);
    await cluster.whenReady();
    for (const worker of ['worker1', 'worker2']) await drained(worker, false);
    for (const { id, status } of await cluster.allTasks()) {
      if (!isFinal(status)) await cluster.request('server1', 'POST', `/v1/tasks/${id}/cancel`, {});
    }
  });

  /** Repeated with its key as often as need be: elections are not what is tested here. */
  async function submit(...requests: TaskRequest[]): Promise<readonly TaskView[]> {
    const results = await clb.submitBatch(requests);
    return results.map(({ task }) => {
      assert.ok(task);
      return task;
    });
  }

  function view(id: string): Promise<TaskView> {
    return cluster.getAny<TaskView>(`/v1/tasks/${id}`);
  }

  function final(id: string): Promise<TaskView> {
    return eventually(
      `task ${id} is final`,
      async () => {
        const task = await view(id);
        return task.finishedAt === null ? null : task;
      },
      HANGS_MS,
    );
  }

  async function drained(node: string, drain: boolean): Promise<void> {
    await eventually(
      `drain of ${node} is ${drain}`,
      async () =>
        (await cluster.request('server1', 'POST', `/v1/nodes/${node}/drain`, { drain })).status === 200,
    );
  }

  /** So many running on worker1, each beating into the record. */
  async function hundredRunning(): Promise<Hundred> {
    count += 1;
    const record = join(cluster.folder, `record-${count}`);
    await drained('worker2', true);
    const gate = `${record}-gate`;
    gates.push(gate);
    const payload = beatingUntil(record, gate, 'done', BEAT_S);
    const ids = (await submit(...Array.from({ length: MANY }, () => payload))).map(({ id }) => id);
    await eventually(
      'all run',
      () => new Set(readTrace(record).map(({ task }) => task)).size === MANY,
      HANGS_MS,
    );
    await drained('worker2', false);
    return { ids, record, open: () => writeFileSync(gate, '') };
  }

  /** Everything ended well, and never two at once; returns the attempts each took. */
  async function allDone(ids: readonly string[], record: string): Promise<readonly number[]> {
    const tasks = await Promise.all(ids.map(final));
    assert.deepEqual([...new Set(tasks.map(({ status }) => status))], ['succeeded']);
    assert.ok(
      tasks.every(({ result }) => result?.stdout === 'done\n'),
      'no output was lost',
    );
    assert.deepEqual(overlaps(readTrace(record)), [], 'at no moment two alive copies of one task');
    return tasks.map(({ attempts }) => attempts.length);
  }

  function dataDir(node: string): string {
    return join(cluster.folder, node);
  }

  it('kill -9 of a worker process with 100 running tasks: the next finds them again, and nothing is lost or run twice', async () => {
    const { ids, record, open } = await hundredRunning();
    await cluster.signal('worker1', 'SIGKILL');
    cluster.startNode('worker1');
    await eventually(
      'worker1 serves again',
      async () => (await cluster.request('worker1', 'GET', '/healthz')).status === 200,
    );
    open();
    await allDone(ids, record);
    const tasks = await Promise.all(ids.map(view));
    const replaced = tasks.filter(({ attempts }) => attempts.length > 1);
    // Only a machine on which the new process took longer than the lease may give them to others.
    for (const { attempts } of replaced) assert.match(attempts[0]?.reason ?? '', /^node worker1 was lost/);
    const starts = readTrace(record).filter(({ what }) => what === 'start').length;
    assert.equal(starts, MANY + replaced.length, 'no process was started twice');
    console.log(
      `  worker process killed: ${MANY - replaced.length} of ${MANY} went on in their first attempt, longest standstill ${longestGapMs(record)} ms`,
    );
  });

  it('kill -9 of its launcher with 100 running tasks: all of them are killed and run again', async () => {
    const { ids, record, open } = await hundredRunning();
    for (const pid of launcherPids(dataDir('worker1'))) process.kill(pid, 'SIGKILL');
    const again = await againAfterMs(record, performance.now());
    open();
    const attempts = await allDone(ids, record);
    assert.ok(attempts.every((number) => number >= 2));
    console.log(
      `  launcher killed: the first task runs again after ${again} ms, wasted ${wastedMs(record, ids)} ms of ${MANY} tasks`,
    );
  });

  it('kill -9 of both with 100 running tasks: all run on the other node', async () => {
    const { ids, record, open } = await hundredRunning();
    await cluster.killWithLauncher('worker1');
    const again = await againAfterMs(record, performance.now());
    open();
    await allDone(ids, record);
    const tasks = await Promise.all(ids.map(view));
    assert.ok(
      tasks.every(({ attempts }) => attempts.at(-1)?.node === 'worker2'),
      'none came back to the node that was lost',
    );
    console.log(`  worker and launcher killed: the first task runs elsewhere after ${again} ms`);
  });

  it('5 s without the master, then 5 s without a majority: tasks pause at most, no work is wasted', async () => {
    for (const without of ['the master', 'a majority'] as const) {
      count += 1;
      const record = join(cluster.folder, `record-${count}`);
      const ids = (await submit(...Array.from({ length: 4 }, () => beatingPayload(record, 9, 'done')))).map(
        ({ id }) => id,
      );
      await eventually(
        'all run',
        () => readTrace(record).filter(({ what }) => what === 'start').length === 4,
      );
      const master = await cluster.master();
      const others = cluster.serverIds.filter((id) => id !== master);
      const down = without === 'the master' ? [master] : others;
      await Promise.all(down.map((id) => cluster.signal(id, 'SIGKILL')));
      await new Promise((wake) => setTimeout(wake, 5_000));
      for (const id of down) cluster.startNode(id);
      const attempts = await allDone(ids, record);
      assert.deepEqual([...new Set(attempts)], [1], `${without}: every one in its first attempt`);
      assert.equal(wastedMs(record, ids), 0);
      console.log(
        `  5 s without ${without}: wasted 0 ms, longest standstill of a task ${longestGapMs(record)} ms`,
      );
      await cluster.whenReady();
    }
  });

  it('a task that kills its launcher again and again is given up, with the reason', async () => {
    // The launcher is the parent of what it starts.
    const [task] = await submit({ command: ['sh', '-c', 'kill -9 $PPID; sleep 60'], maxAttempts: 1 });
    const end = await final(task?.id ?? '');
    assert.equal(end.status, 'failed');
    assert.equal(end.attempts.length, 10);
    assert.match(end.attempts.at(-1)?.reason ?? '', /^given up after 10 lost attempts, which is the limit/);
    const [next] = await submit({ command: ['echo', 'well'] });
    assert.equal((await final(next?.id ?? '')).result?.stdout, 'well\n', 'the nodes are as before');
  });

  it('keeps collected files: small ones without their node, large ones with it, through any server', async () => {
    const script = 'mkdir -p out; cat in/a > out/small; head -c 1000000 /dev/zero > out/large; echo x > no';
    const [task] = await submit({
      command: ['sh', '-c', script],
      files: [{ path: 'in/a', contentBase64: Buffer.from('given').toString('base64') }],
      collect: ['out/*'],
    });
    const { id, attempts, result } = await final(task?.id ?? '');
    assert.deepEqual(result?.collected, {
      files: [
        { path: 'out/large', bytes: 1_000_000, kept: 'node' },
        { path: 'out/small', bytes: 5, kept: 'cluster' },
      ],
      leftOut: null,
    });
    const node = attempts[0]?.node ?? '';
    for (const server of cluster.serverIds) {
      const list = await cluster.get<TaskFilesView>(server, `/v1/tasks/${id}/files`);
      assert.deepEqual([list.node, list.files.length], [node, 2]);
      assert.equal(await cluster.get<string>(server, `/v1/tasks/${id}/files/out/small`), 'given');
      const large = await fetch(cluster.url(server, `/v1/tasks/${id}/files/out/large`));
      assert.deepEqual([large.status, (await large.arrayBuffer()).byteLength], [200, 1_000_000]);
    }
    await cluster.killWithLauncher(node);
    rmSync(dataDir(node), { recursive: true, force: true });
    for (const server of cluster.serverIds) {
      assert.equal(await cluster.get<string>(server, `/v1/tasks/${id}/files/out/small`), 'given');
      const gone = await cluster.request<ErrorBody>(server, 'GET', `/v1/tasks/${id}/files/out/large`);
      assert.equal(gone.status, 503);
      assert.match(gone.body.error.message, /only .* not connected|lease has run out/);
    }
    cluster.startNode(node);
    await cluster.whenReady();
    const removed = await cluster.request<ErrorBody>('server1', 'GET', `/v1/tasks/${id}/files/out/large`);
    assert.deepEqual([removed.status, removed.body.error.code], [404, 'NOT_FOUND']);
  });

  it('leaves no payload behind', async () => {
    await eventually(
      'no process carries a marker of ours',
      () =>
        processesMatching((line) => line.includes(cluster.folder) && line.includes('/attempts/')).length ===
        0,
    );
  });
});

interface Hundred {
  readonly ids: readonly string[];
  readonly record: string;
  /** Lets all of them end. */
  readonly open: () => void;
}

/** Until something starts that started after the kill. */
async function againAfterMs(record: string, killedAt: number): Promise<number> {
  const before = readTrace(record).filter(({ what }) => what === 'start').length;
  await eventually(
    'it runs again',
    () => readTrace(record).filter(({ what }) => what === 'start').length > before,
    HANGS_MS,
  );
  return Math.round(performance.now() - killedAt);
}

/** Run by attempts that were not the last of their task. */
function wastedMs(record: string, ids: readonly string[]): number {
  return Math.round(ids.reduce((sum, id) => sum + ranMs(readTrace(record), id).wasted, 0));
}

/** The longest time between two traces of one process: a pause, or a busy machine. */
function longestGapMs(record: string): number {
  const last = new Map<number, bigint>();
  let longest = 0n;
  for (const { pid, atNs } of readTrace(record)) {
    const before = last.get(pid);
    if (before !== undefined && atNs - before > longest) longest = atNs - before;
    last.set(pid, atNs);
  }
  return Number(longest / 1_000_000n);
}
