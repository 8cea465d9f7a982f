/**
 * A server that starts from a snapshot is the same as one that has applied everything: at random points of random
 * command sequences, over a store that is behind, level or ahead. A failing seed is named in the message.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TASK_STATUSES } from '../../../src/api/tasks.ts';
import type { LogIndex } from '../../../src/raft/core/types.ts';
import { CHUNK_BYTES_MAX } from '../../../src/scheduler/state/snapshot-format.ts';
import { TaskMachine } from '../../../src/scheduler/task-machine.ts';
import { MachineDriver, collect, restoreMachine } from '../machine-driver.ts';
import { MemoryKv } from '../memory-kv.ts';
import { RandomCommands } from './random-commands.ts';
import { Random } from './random.ts';
import { replayed } from './replay.ts';

const SEEDS = 14;
const STEPS = 800;

function recount(machine: TaskMachine): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0]));
  for (const task of machine.state.tasks.live()) counts[task.status] = (counts[task.status] ?? 0) + 1;
  for (const [status, count] of machine.state.tasks.archive.countByStatus()) counts[status] = count;
  return counts;
}

function everyTask(machine: TaskMachine): string[] {
  const { tasks } = machine.state;
  const all: string[] = [];
  for (let seq = tasks.lastSeq; seq > 0; seq -= 1) {
    const finishSeq = tasks.archive.finishSeqOf(seq);
    const task = tasks.bySeq(seq) ?? (finishSeq === 0 ? undefined : tasks.archive.read(finishSeq));
    if (task !== undefined) all.push(JSON.stringify(task));
  }
  return all;
}

describe('snapshots', () => {
  it('and the log after them lead to the same state as the whole log, wherever the store is', async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = new Random(seed);
      const driver = await MachineDriver.create(1 + random.below(12));
      const commands = new RandomCommands(driver, random);
      const snapshotAt = random.below(STEPS);
      let early = new MemoryKv();
      let snapshot: { index: number; term: number; chunks: readonly Uint8Array[] } | null = null;
      for (let step = 0; step < STEPS; step += 1) {
        commands.step();
        if (step !== snapshotAt) continue;
        const frozen = driver.machine.snapshot();
        snapshot = { index: driver.index, term: driver.term, chunks: [] };
        driver.flush();
        early = new MemoryKv(driver.kv.map);
        // Taken lazily while later commands are applied, which it must not show.
        for (let more = 0; more < 20; more += 1) commands.step();
        snapshot.chunks = await collect(frozen);
        driver.flush();
        driver.kv.write(driver.machine.dropBefore(snapshot.index as LogIndex));
      }
      assert.ok(snapshot);
      assert.deepEqual(driver.machine.state.tasks.counts(), recount(driver.machine), `seed ${seed}`);
      for (const kv of [early, new MemoryKv(driver.kv.map)]) {
        const second = await replayed(driver, { kv, snapshot, segmentTasks: 1 + random.below(12) });
        assert.equal(second.machine.stateHash(), driver.machine.stateHash(), `seed ${seed}`);
        assert.deepEqual(second.results, driver.results.slice(-second.results.length), `seed ${seed}`);
        assert.deepEqual(everyTask(second.machine), everyTask(driver.machine), `seed ${seed}`);
        assert.deepEqual(second.machine.state.tasks.counts(), recount(driver.machine), `seed ${seed}`);
      }
    }
  });

  it('can be installed on another server together with the stored records that belong to them', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    for (let at = 0; at < 700; at += 1) driver.run(`before${at}`);
    driver.submit('live');
    driver.flushAll();
    const chunks = await driver.snapshot();
    const { index, term } = driver;
    const hash = driver.machine.stateHash();
    for (let at = 0; at < 700; at += 1) driver.run(`after${at}`);
    driver.flushAll();

    const sent = [...driver.kv.map].filter(([key, value]) =>
      driver.machine.storedAt(index as LogIndex, key, value),
    );
    assert.ok(sent.length > 0 && sent.length < driver.kv.map.size);
    const other = new TaskMachine();
    const restored: number[] = [];
    other.observe({ restored: (at) => restored.push(at) });
    await restoreMachine(other, index, term, chunks, new MemoryKv(sent));
    assert.deepEqual(restored, [index]);
    assert.equal(other.stateHash(), hash);
    assert.equal(other.state.tasks.countOf('succeeded'), 700);
    assert.equal(other.state.tasks.get('live')?.status, 'queued');
    for (const id of ['before0', 'before300', 'before699']) {
      assert.notEqual(other.state.tasks.archive.findId(id), 0, id);
    }
    assert.equal(other.state.tasks.archive.findId('after0'), 0);
  });

  it('come in chunks of a bounded size, also for a task of a megabyte', async () => {
    const driver = await MachineDriver.create();
    driver.submit('big', { stdin: 'ü'.repeat(400_000) });
    for (let at = 0; at < 2_000; at += 1) driver.submit(`t${at}`);
    const chunks = await driver.snapshot();
    assert.ok(chunks.length > 3);
    for (const chunk of chunks) assert.ok(chunk.byteLength > 0 && chunk.byteLength <= CHUNK_BYTES_MAX);
    const other = new TaskMachine();
    await restoreMachine(other, driver.index, driver.term, chunks, new MemoryKv());
    assert.equal(other.stateHash(), driver.machine.stateHash());
  });

  it('that are cut short, foreign or damaged are refused, and the state stays as it was', async () => {
    const driver = await MachineDriver.create();
    driver.submit('a');
    const [chunk] = await driver.snapshot();
    assert.ok(chunk);
    const text = new TextDecoder().decode(chunk);
    const bytes = (changed: string): Uint8Array => new TextEncoder().encode(changed);
    const other = await MachineDriver.create();
    other.submit('kept');
    const cases = [
      text.slice(0, -3),
      text.replace('"format":1', '"format":99'),
      text.slice(1),
      text.replace(/\nT/, '\nQ'),
      text.replace(/\nT.*\n/, '\n'),
      `${text}T{}\n`,
    ];
    for (const damaged of cases) {
      await assert.rejects(restoreMachine(other.machine, driver.index, 1, [bytes(damaged)], new MemoryKv()), {
        code: 'SNAPSHOT_FORMAT',
      });
    }
    assert.equal(other.task('kept').status, 'queued');
  });

  it('are refused over a store that lacks finished tasks', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    for (let at = 0; at < 300; at += 1) driver.run(`t${at}`);
    driver.flushAll();
    const chunks = await driver.snapshot();
    await assert.rejects(
      restoreMachine(new TaskMachine(), driver.index, 1, chunks, new MemoryKv()),
      /lacks finish number 1/,
    );
  });
});

describe('retention', () => {
  it('drops the oldest by age and by number, a bounded number at a time', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    for (let at = 0; at < 600; at += 1) {
      driver.now += 10;
      driver.run(`t${at}`);
    }
    const { archive } = driver.machine.state.tasks;
    const start = driver.now - 600 * 10;
    assert.equal(archive.retireThrough(start, 1_000), 0);
    assert.equal(archive.retireThrough(start + 1_005, 1_000), 100);
    assert.equal(archive.retireThrough(start, 450), 150);
    driver.one({ op: 'retire', through: 150 });
    assert.equal(driver.machine.state.tasks.countOf('succeeded'), 450);
    assert.equal(archive.findId('t149'), 0);
    assert.notEqual(archive.findId('t150'), 0);
    assert.deepEqual(recount(driver.machine), driver.machine.state.tasks.counts());
    driver.one({ op: 'retire', through: 100 });
    driver.one({ op: 'retire', through: 1e9 });
    assert.equal(archive.size, 0);
  });

  it('deletes from the store only once a snapshot after the retirement is durable, and stays consistent', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    for (let at = 0; at < 1_000; at += 1) driver.run(`t${at}`);
    driver.flushAll();
    driver.one({ op: 'retire', through: 600 });
    const retiredAt = driver.index;
    for (let at = 1_000; at < 1_300; at += 1) driver.run(`t${at}`);
    driver.flushAll();
    const keys = driver.kv.map.size;
    assert.deepEqual(driver.machine.dropBefore((retiredAt - 1) as LogIndex), []);
    const chunks = await driver.snapshot();
    const drops = driver.machine.dropBefore(driver.index as LogIndex);
    driver.kv.write(drops);
    assert.equal(drops.length, 6); // two segments of 256: body, index and tags
    assert.equal(driver.kv.map.size, keys - 6);
    assert.equal(driver.machine.dropBefore(driver.index as LogIndex).length, 0);
    const snapshot = { index: driver.index, term: driver.term, chunks };
    driver.run('more');
    const second = await replayed(driver, { snapshot });
    assert.equal(second.machine.stateHash(), driver.machine.stateHash());
    assert.deepEqual(everyTask(second.machine), everyTask(driver.machine));
    assert.equal(everyTask(second.machine).length, 701);
    // A restarted server goes on deleting where the other stopped.
    second.one({ op: 'retire', through: 900 });
    assert.equal(second.machine.dropBefore(second.index as LogIndex).length, 3);
  });
});

describe('the archive', () => {
  it('reads every finished task back as it was, from memory and from the store', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    const expected = new Map<string, string>();
    for (let at = 0; at < 900; at += 1) {
      driver.submit(`t${at}`, { name: `ü${at}`, labels: { a: '1' } }, { clientPort: 3001, retryOf: 'x' });
      const token = driver.assign(`t${at}`, 'n1');
      driver.one({
        ...{ op: 'finish', task: `t${at}`, token, outcome: 'failed', reason: 'line\nbreak', runMs: 1 },
        result: { ...{ exitCode: 1, signal: null, stdout: 'x\ny\u2028z', stderr: '' }, ...SIZES },
      });
      expected.set(`t${at}`, JSON.stringify(driver.task(`t${at}`)));
      if (at % 7 === 0) driver.flush();
    }
    driver.flushAll();
    for (const [id, text] of expected) assert.equal(JSON.stringify(driver.task(id)), text);
    const { archive } = driver.machine.state.tasks;
    assert.deepEqual(archive.findPrefix('t12345', 5), []);
    assert.equal(archive.statusOf(archive.findId('t3')), 'failed');
  });

  it('holds back what is too little for a segment, but not megabytes', async () => {
    const driver = await MachineDriver.create();
    driver.nodeUp('n1');
    for (let at = 0; at < 200; at += 1) driver.run(`small${at}`);
    assert.deepEqual(driver.machine.takeDirty(), []);
    for (let at = 0; at < 20; at += 1) {
      driver.submit(`large${at}`, { stdin: 'x'.repeat(60_000) });
      driver.finish(`large${at}`, driver.assign(`large${at}`, 'n1'));
    }
    const ops = driver.machine.takeDirty();
    assert.ok(ops.length > 2);
    driver.kv.write(ops);
    assert.deepEqual(driver.machine.takeDirty(), []);
    assert.equal(driver.task('large19').status, 'succeeded');
    assert.equal(driver.task('small0').status, 'succeeded');
  });
});

const SIZES = { stdoutBytes: 5, stderrBytes: 0, truncated: false } as const;
