/** Finding finished tasks: by status, label, name, time and text, page by page, at a bounded cost, whatever happens meanwhile. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FinalStatus, TaskListQuery, TaskRequest } from '../../src/api/tasks.ts';
import type { TaskRecord } from '../../src/scheduler/state/records.ts';
import { SEARCH_LIMITS, listTasks } from '../../src/scheduler/task-search.ts';
import type { FoundTasks } from '../../src/scheduler/task-search.ts';
import { labelTag, mayHaveTag, nameTag, segmentTags } from '../../src/scheduler/state/segment-tags.ts';
import { MachineDriver, restoreMachine, taskResult } from './machine-driver.ts';
import { MemoryKv } from './memory-kv.ts';
import { Random } from './state/random.ts';

/** Counts what is read from the store. */
class CountingKv extends MemoryKv {
  reads = 0;

  override get(key: string): Uint8Array | undefined {
    this.reads += 1;
    return super.get(key);
  }
}

const SEGMENT_TASKS = 32;

async function archive(): Promise<{ driver: MachineDriver; kv: CountingKv }> {
  const driver = new MachineDriver(SEGMENT_TASKS);
  const kv = new CountingKv();
  driver.kv = kv;
  await restoreMachine(driver.machine, 0, 0, [], kv);
  driver.one({
    op: 'nodeUp',
    node: {
      ...{ id: 'w', role: 'worker', address: 'w:1', slots: 9_999, cpus: 4, memoryMb: 4_096, labels: {} },
      instance: 'w',
    },
  });
  return { driver, kv };
}

/** Submits and, unless `status` is null, finishes it. */
function add(
  driver: MachineDriver,
  id: string,
  spec: Partial<TaskRequest>,
  status: FinalStatus | null,
): void {
  driver.one({ op: 'submit', atomic: true, tasks: [{ id, spec: { command: ['true'], ...spec } }] });
  if (status === null) return;
  finish(driver, id, status);
}

function finish(driver: MachineDriver, id: string, status: FinalStatus): void {
  driver.one({ op: 'assign', task: id, node: 'w', placement: { reason: '', rows: '' } });
  driver.one({
    ...{ op: 'finish', task: id, token: driver.index, outcome: status, reason: null, runMs: 1 },
    result: taskResult({}),
  });
}

async function find(driver: MachineDriver, query: Partial<TaskListQuery>): Promise<FoundTasks> {
  return listTasks(driver.machine.state.tasks, { limit: 100, ...query }, () => Promise.resolve());
}

/** All pages; `between` runs after each. */
async function everything(
  driver: MachineDriver,
  query: Partial<TaskListQuery>,
  between: () => void = () => undefined,
): Promise<readonly TaskRecord[]> {
  const found: TaskRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await find(driver, { ...query, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.tasks);
    cursor = page.next === null ? undefined : String(page.next);
    between();
  } while (cursor !== undefined);
  return found;
}

describe('searching tasks', () => {
  it('finds by every filter what a walk through all would, live and archived, before and after a restart', async () => {
    const random = new Random(5);
    const { driver, kv } = await archive();
    for (let at = 0; at < 1_500; at += 1) {
      driver.now += random.below(3) * 500;
      const spec = {
        ...(random.below(3) === 0 ? {} : { name: `job ${random.below(40)}` }),
        ...(random.below(2) === 0 ? {} : { labels: { team: random.pick(['red', 'blue']) ?? '' } }),
      };
      const status = random.pick(['succeeded', 'succeeded', 'failed', 'canceled', null] as const) ?? null;
      // A canceled one that nobody asked to cancel would go back to the queue.
      const isCanceled = status === 'canceled';
      add(driver, `task${at}`, spec, isCanceled ? null : status);
      if (isCanceled) driver.one({ op: 'cancel', task: `task${at}` });
      if (at % 50 === 0) driver.flush();
    }
    driver.flushAll();
    const all = [...(await everything(driver, {}))];
    assert.equal(all.length, 1_500);
    const middle = all[700]?.submittedAt ?? 0;
    const queries: readonly (readonly [Partial<TaskListQuery>, (task: TaskRecord) => boolean])[] = [
      [{ status: 'failed' }, (task) => task.status === 'failed'],
      [{ status: 'queued' }, (task) => task.status === 'queued'],
      [{ name: 'job 7' }, (task) => task.spec.name === 'job 7'],
      [
        { name: 'job 7', status: 'canceled' },
        (task) => task.spec.name === 'job 7' && task.status === 'canceled',
      ],
      [{ label: 'team' }, (task) => task.spec.labels !== undefined],
      [{ label: 'team=red' }, (task) => task.spec.labels?.['team'] === 'red'],
      [{ since: middle }, (task) => task.submittedAt >= middle],
      [{ until: middle }, (task) => task.submittedAt < middle],
      [
        { since: middle - 9_000, until: middle, name: 'job 3' },
        (task) =>
          task.submittedAt >= middle - 9_000 && task.submittedAt < middle && task.spec.name === 'job 3',
      ],
      [{ since: driver.now + 1 }, () => false],
      [{ until: 0 }, () => false],
      [{ q: 'JOB 11' }, (task) => task.spec.name?.includes('job 11') === true],
    ];
    const snapshot = await driver.snapshot();
    const restored = new MachineDriver(SEGMENT_TASKS);
    await restoreMachine(restored.machine, driver.index, 1, snapshot, kv);
    for (const [query, wanted] of queries) {
      const expected = all.filter(wanted).map(({ id }) => id);
      for (const server of [driver, restored]) {
        const found = await everything(server, { ...query, limit: 13 });
        assert.deepEqual(
          found.map(({ id }) => id),
          expected,
          JSON.stringify(query),
        );
      }
    }
  });

  it('reads the few segments that may hold a rare name or label, not all', async () => {
    const { driver, kv } = await archive();
    const tasks = 4_000;
    for (let at = 0; at < tasks; at += 1) {
      const rare = at === 1_234 || at === 3_210;
      add(
        driver,
        `t${at}`,
        { name: rare ? 'rare' : `n${at}`, labels: rare ? { k: 'v' } : { k: 'w' } },
        'succeeded',
      );
      if (at % SEGMENT_TASKS === 0) driver.flush();
    }
    driver.flushAll();
    for (const query of [{ name: 'rare' }, { label: 'k=v' }, { name: 'rare', label: 'k=v' }]) {
      kv.reads = 0;
      const found = await find(driver, query);
      assert.deepEqual(
        found.tasks.map(({ id }) => id),
        ['t3210', 't1234'],
      );
      assert.equal(found.next, null);
      assert.ok(kv.reads <= 12, `${kv.reads} of ${tasks / SEGMENT_TASKS} segments were read`);
    }
    kv.reads = 0;
    const since = (await find(driver, { name: 'rare' })).tasks[0]?.submittedAt ?? 0;
    await find(driver, { since, name: 'nobody' });
    assert.ok(kv.reads <= 30, `${kv.reads} reads`);
  });

  it('finds the few of a status among many of another in one step each', async () => {
    const { driver, kv } = await archive();
    for (let at = 0; at < 3_000; at += 1) {
      add(driver, `t${at}`, {}, at % 1_000 === 500 ? 'failed' : 'succeeded');
      if (at % SEGMENT_TASKS === 0) driver.flush();
    }
    driver.flushAll();
    kv.reads = 0;
    const { tasks, next } = await find(driver, { status: 'failed' });
    assert.deepEqual(
      tasks.map(({ id }) => id),
      ['t2500', 't1500', 't500'],
    );
    assert.equal(next, null);
    assert.equal(kv.reads, 3);
  });

  it('stops after a bounded number of reads and goes on from the cursor', async () => {
    const { driver } = await archive();
    const tasks = SEARCH_LIMITS.reads + 500;
    for (let at = 0; at < tasks; at += 1) {
      add(driver, `t${at}`, {}, 'succeeded');
      if (at % SEGMENT_TASKS === 0) driver.flush();
    }
    const first = await find(driver, { q: 'nowhere to be found' });
    assert.deepEqual(first.tasks, []);
    assert.equal(first.next, tasks - SEARCH_LIMITS.reads + 1);
    const second = await find(driver, { q: 'nowhere to be found', cursor: String(first.next) });
    assert.deepEqual(second, { tasks: [], next: null });
  });

  it('shows each task once, though tasks finish, come and are retired between the pages', async () => {
    const { driver } = await archive();
    for (let at = 0; at < 400; at += 1) add(driver, `t${at}`, {}, at < 200 ? 'succeeded' : null);
    let next = 399;
    let retired = 0;
    const seen = await everything(driver, { limit: 10 }, () => {
      for (let more = 0; more < 7 && next >= 200; more += 1, next -= 1)
        finish(driver, `t${next}`, 'succeeded');
      add(driver, `new${next}`, {}, 'succeeded');
      driver.one({ op: 'retire', through: (retired += 2) });
      driver.flush();
    });
    const ids = seen.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'none twice');
    const kept = Array.from({ length: 400 - retired }, (_, at) => `t${399 - at}`);
    assert.deepEqual(ids.slice(0, kept.length), kept, 'and none left out');
    assert.ok(ids.every((id) => !id.startsWith('new')));
  });

  it('does not find what was retired, also where the store still has it', async () => {
    const { driver, kv } = await archive();
    for (let at = 0; at < 200; at += 1) add(driver, `t${at}`, {}, at % 2 === 0 ? 'failed' : 'succeeded');
    driver.flushAll();
    driver.one({ op: 'retire', through: 100 });
    const snapshot = await driver.snapshot();
    const restored = new MachineDriver(SEGMENT_TASKS);
    await restoreMachine(restored.machine, driver.index, 1, snapshot, kv);
    for (const { machine } of [driver, restored]) {
      for (const status of ['failed', undefined] as const) {
        const query = { limit: 1_000, ...(status === undefined ? {} : { status }) };
        const found = await listTasks(machine.state.tasks, query, () => Promise.resolve());
        assert.equal(found.tasks.length, status === undefined ? 100 : 50);
        assert.equal(found.tasks.at(-1)?.id, 't100');
      }
    }
  });
});

describe('the tags of a segment', () => {
  it('never deny what is there, and mostly deny what is not', () => {
    const specs = Array.from({ length: 256 }, (_, at): TaskRequest => ({
      command: ['x'],
      name: `name ${at}`,
      labels: { shard: String(at), team: at % 2 === 0 ? 'a' : 'b' },
    }));
    const filter = segmentTags(specs);
    assert.ok(filter.length <= 2_048);
    for (const { name, labels } of specs) {
      assert.ok(mayHaveTag(filter, nameTag(name ?? '')));
      for (const [key, value] of Object.entries(labels ?? {})) {
        assert.ok(mayHaveTag(filter, labelTag(key, value)) && mayHaveTag(filter, labelTag(key, null)));
      }
    }
    let wrong = 0;
    for (let at = 0; at < 10_000; at += 1) if (mayHaveTag(filter, nameTag(`other ${at}`))) wrong += 1;
    assert.ok(wrong < 400, `${wrong} of 10000`);
    assert.ok(!mayHaveTag(segmentTags([]), nameTag('x')));
  });
});
