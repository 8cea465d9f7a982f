/** What happens seldom in the state machine: limits reached, records that are not there, entries of no known kind, damage. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, Term } from '../../../src/raft/core/types.ts';
import { Archive } from '../../../src/scheduler/state/archive.ts';
import {
  bodyKey,
  decodeSegmentIndex,
  encodeSegment,
  recordOfSegment,
  roughBytes,
} from '../../../src/scheduler/state/archive-format.ts';
import { ArchiveIndex } from '../../../src/scheduler/state/archive-index.ts';
import { decodeRows, encodeRows } from '../../../src/scheduler/state/candidate-rows.ts';
import { IdIndex } from '../../../src/scheduler/state/id-index.ts';
import { currentAttempt } from '../../../src/scheduler/state/lifecycle.ts';
import { STATE_LIMITS } from '../../../src/scheduler/state/limits.ts';
import { decodeEntry } from '../../../src/scheduler/state/ops.ts';
import type { Op } from '../../../src/scheduler/state/ops.ts';
import { decodeTask, encodeTask } from '../../../src/scheduler/state/record-codec.ts';
import { ScheduleTable } from '../../../src/scheduler/state/schedule-table.ts';
import { ShapeQueue } from '../../../src/scheduler/state/task-queue.ts';
import { backoffMsOf, shapeOf } from '../../../src/scheduler/state/task-spec.ts';
import { TaskMachine } from '../../../src/scheduler/task-machine.ts';
import { MachineDriver, newTask, restoreMachine, taskResult } from '../machine-driver.ts';
import { MemoryKv } from '../memory-kv.ts';
import { Random } from './random.ts';

async function withNode(): Promise<MachineDriver> {
  const driver = await MachineDriver.create();
  driver.nodeUp('n1');
  return driver;
}

describe('limits', () => {
  it('a batch too many is refused, and an unknown one can be forgotten without harm', async () => {
    const driver = await MachineDriver.create();
    const part = (batch: string): Op => ({
      op: 'stage',
      batch,
      part: 0,
      last: false,
      tasks: [newTask(batch)],
    });
    for (let n = 0; n < STATE_LIMITS.stagedBatchesMax; n += 1)
      assert.equal(driver.one(part(`b${n}`)).kind, 'done');
    const refused = driver.one(part('one-more'));
    assert.match(refused.kind === 'refused' ? refused.message : '', /batches are being handed in already/);
    assert.equal(driver.one({ op: 'unstage', batch: 'one-more' }).kind, 'duplicate');
    assert.equal(driver.one({ op: 'unstage', batch: 'b0' }).kind, 'done');
    assert.equal(driver.one(part('one-more')).kind, 'done');
  });

  it('tasks that are due come in portions, and it is said that there are more', async () => {
    const driver = await MachineDriver.create();
    const count = STATE_LIMITS.duePerOpMax + 2;
    const tasks = Array.from({ length: count }, (_, n) =>
      newTask(`t${n}`, { delayMs: n < count - 1 ? 10 : 99_999 }),
    );
    driver.apply({ op: 'submit', atomic: true, tasks });
    driver.now += 10;
    assert.deepEqual(driver.one({ op: 'due' }), { kind: 'more', more: true });
    assert.deepEqual(driver.one({ op: 'due' }), { kind: 'more', more: false });
    assert.equal(driver.machine.state.tasks.countOf('queued'), count - 1);
  });

  it('of the nodes that are down, the one longest down makes room, whatever their order', async () => {
    const driver = await MachineDriver.create();
    for (let at = 0; at < STATE_LIMITS.nodesMax; at += 1) driver.nodeUp(`w${at}`);
    for (const node of ['w9', 'w3', 'w5']) {
      driver.now += 1;
      driver.one({ op: 'nodeDown', node, reason: 'gone' });
    }
    driver.nodeUp('new');
    const { nodes } = driver.machine.state;
    assert.deepEqual([nodes.has('w9'), nodes.has('w3'), nodes.has('w5')], [false, true, true]);
  });

  it('a long reason is cut, and says so', async () => {
    const driver = await withNode();
    driver.submit('a');
    driver.one({ op: 'release', task: 'a', token: driver.assign('a', 'n1'), reason: 'x'.repeat(5_000) });
    const reason = driver.task('a').attempts[0]?.reason ?? '';
    assert.equal(reason.length, STATE_LIMITS.reasonCharsMax);
    assert.ok(reason.endsWith('…'));
  });

  it('tasks that are scheduled and canceled again and again leave nothing behind', async () => {
    const driver = await MachineDriver.create();
    driver.submit('stays', { delayMs: 50 });
    for (let n = 0; n < 1_100; n += 1) {
      driver.submit(`t${n}`, { delayMs: 60_000 });
      driver.one({ op: 'cancel', task: `t${n}` });
    }
    assert.equal(driver.machine.state.tasks.nextDueAt(), driver.now + 50);
  });
});

describe('endings', () => {
  it('are told by signal, by exit code, or by the outcome alone', async () => {
    const driver = await withNode();
    const ways = [
      [taskResult({ exitCode: null, signal: 'SIGKILL' }), /ended by signal SIGKILL/],
      [taskResult({ exitCode: 3 }), /exit code 3/],
      [taskResult({ exitCode: null }), /^failed/],
    ] as const;
    for (const [at, [result, told]] of ways.entries()) {
      driver.submit(`t${at}`, { maxAttempts: 2, backoffMs: 1 });
      const token = driver.assign(`t${at}`, 'n1');
      driver.one({ op: 'finish', task: `t${at}`, token, outcome: 'failed', reason: null, runMs: 1, result });
      const why = driver.task(`t${at}`).timeline.map((event) => event.why ?? '');
      assert.ok(
        why.some((text) => told.test(text)),
        why.join(' | '),
      );
    }
  });

  it('of a task whose dependent was canceled before leave that as it is', async () => {
    const driver = await withNode();
    driver.submit('a');
    driver.submit('b', { after: ['a'] });
    driver.submit('c', { after: ['a'] });
    driver.one({ op: 'cancel', task: 'b' });
    driver.finish('a', driver.assign('a', 'n1'));
    assert.deepEqual([driver.task('b').status, driver.task('c').status], ['canceled', 'queued']);
  });
});

describe('entries', () => {
  it('that are not of this program are applied as nothing', () => {
    const decode = (text: string): unknown => decodeEntry(new TextEncoder().encode(text));
    for (const text of ['', '{', 'null', '7', '{"at":1}', '{"at":-1,"ops":[]}', '{"at":"1","ops":[]}'])
      assert.equal(decode(text), null, text);
    assert.deepEqual(decode('{"at":1,"ops":[]}'), { at: 1, ops: [] });
  });
});

describe('the machine', () => {
  it('tells its observers of a new term, and writes nothing while it takes in a snapshot', async () => {
    const driver = await withNode();
    const terms: number[] = [];
    driver.machine.observe({ termStarted: (term) => terms.push(term) });
    driver.machine.observe({});
    driver.machine.applyTermStart(7 as Term, (driver.index + 1) as LogIndex);
    assert.deepEqual(terms, [7]);

    const chunks = await driver.snapshot();
    for (let n = 0; n < 300; n += 1) driver.run(`t${n}`);
    let written = -1;
    const meta = { index: 1 as LogIndex, term: 1 as Term, config: { voters: [], learners: [] } };
    const watched = async function* (): AsyncIterable<Uint8Array> {
      await Promise.resolve();
      written = driver.machine.takeDirty().length;
      yield* chunks;
    };
    await driver.machine.restore(meta, watched(), new MemoryKv());
    assert.equal(written, 0);
  });

  it('refuses a snapshot with a line that is no record, and names the line', async () => {
    const driver = await MachineDriver.create();
    driver.submit('a');
    const text = new TextDecoder().decode((await driver.snapshot())[0]);
    const damaged = new TextEncoder().encode(text.replace(/\nT.*\n/, '\nT{"i":\n'));
    await assert.rejects(restoreMachine(new TaskMachine(), driver.index, 1, [damaged], new MemoryKv()), {
      code: 'SNAPSHOT_FORMAT',
      message: /damaged after line \d+/,
    });
  });

  it('keeps through a snapshot what was cut from a timeline', async () => {
    const driver = await withNode();
    driver.submit('a');
    for (let round = 0; round < 150; round += 1)
      driver.one({ op: 'release', task: 'a', token: driver.assign('a', 'n1'), reason: 'again' });
    assert.ok(driver.task('a').timelineCut > 0);
    const other = new TaskMachine();
    await restoreMachine(other, driver.index, driver.term, await driver.snapshot(), new MemoryKv());
    assert.deepEqual(other.state.tasks.get('a'), driver.task('a'));
  });
});

describe('the index of the archive', () => {
  const entry = (finishSeq: number, seq: number): Parameters<ArchiveIndex['add']>[0] => ({
    ...{ finishSeq, seq, id: `task${seq}`, status: 'succeeded', finishedAt: finishSeq, key: null },
  });

  it('agrees with a plain map, over the bounds of its blocks and pages', () => {
    const random = new Random(5);
    const index = new ArchiveIndex();
    const bySeq = new Map<number, number>();
    let seq = 0;
    const last = 70_000;
    for (let finishSeq = 1; finishSeq <= last; finishSeq += 1) {
      seq += 1 + (random.below(100) === 0 ? random.below(3_000) : 0);
      index.add(entry(finishSeq, seq));
      bySeq.set(seq, finishSeq);
    }
    index.add(entry(5, 999_999_999));
    assert.notEqual(index.seqOf(5), 999_999_999, 'what is there stays');
    const seqs = [...bySeq.keys()];
    const check = (dropped: number): void => {
      for (let probe = 0; probe < 300; probe += 1) {
        const at = random.below(seq + 2_000);
        const known = bySeq.get(at) ?? 0;
        assert.equal(index.finishSeqOf(at), known > dropped ? known : 0);
        const expected = seqs.filter((other) => other < at && (bySeq.get(other) ?? 0) > dropped).at(-1) ?? 0;
        assert.equal(index.seqBelow(at, 1), expected, `below ${at}`);
      }
    };
    check(0);
    assert.equal(index.seqOfStatusBelow(seq + 1, 'succeeded'), seq);
    assert.equal(index.seqOfStatusBelow(seq + 1, 'failed'), 0);
    for (let finishSeq = 1; finishSeq <= 66_000; finishSeq += 1) index.hide(finishSeq);
    index.hide(7);
    index.drop(66_000);
    check(66_000);
    assert.deepEqual([index.has(65_536), index.has(66_001)], [false, true]);
    assert.equal(index.finishedAtOf(66_001), 66_001);
    assert.equal(index.finishedAtOf(10), 0);
    assert.equal(index.finishSeqOf(10_000_000), 0);
    assert.throws(() => index.statusOf(200_000_000), /not in the index/);
  });
});

describe('the archive', () => {
  it('takes only finished tasks, and says what it does not have', async () => {
    const driver = await withNode();
    driver.submit('open');
    const archive = new Archive(4);
    const open = driver.task('open');
    assert.throws(() => archive.add(open), /open is not finished/);
    assert.throws(() => archive.restoreTask(1, open), /open is not finished/);
    assert.throws(() => archive.readUnamended(1), /no segment for finish number 1/);
    assert.throws(() => recordOfSegment(new TextEncoder().encode('1\n{}'), 3), /no record 3/);
  });

  it('says when a segment is gone from the store', async () => {
    const driver = await MachineDriver.create(4);
    driver.nodeUp('n1');
    for (let n = 0; n < 8; n += 1) driver.run(`t${n}`);
    driver.flushAll();
    const { archive } = driver.machine.state.tasks;
    driver.kv.write([{ kind: 'del', key: bodyKey(5) }]);
    assert.equal(archive.read(1).id, 't0');
    assert.throws(() => archive.read(6), /segment 5 is not in the store/);
  });

  it('forgets of what it had handed over only what is still there', async () => {
    const driver = await MachineDriver.create(4);
    driver.nodeUp('n1');
    for (let n = 0; n < 8; n += 1) driver.run(`task-${n}`);
    driver.flush();
    driver.one({ op: 'retire', through: 6 });
    driver.flushAll();
    const { archive } = driver.machine.state.tasks;
    // By prefix and by submission number, only those that are not retired.
    assert.deepEqual(archive.findPrefix('task-', 10), []);
    assert.deepEqual([...archive.findPrefix('task-7', 10)], ['task-7']);
    assert.deepEqual([...archive.findPrefix('task-7', 1)], ['task-7']);
    assert.deepEqual([...archive.findPrefix('task-0', 10)], []);
    assert.equal(archive.seqBelow(8), 7);
    assert.equal(archive.seqBelow(7), 0);
    assert.equal(archive.finishSeqOf(1), 0);
    assert.equal(archive.findKey('nobody'), null);
  });

  it('counts the script of a task among its bytes', async () => {
    const driver = await withNode();
    driver.run('a');
    const task = driver.task('a');
    const withScript = { ...task, spec: { script: 'x'.repeat(100) } };
    assert.equal(roughBytes(withScript) - roughBytes(task), 100);
  });
});

describe('records', () => {
  it('of an attempt without a placement come back without one', async () => {
    const driver = await withNode();
    driver.submit('a');
    driver.assign('a', 'n1');
    const task = driver.task('a');
    const bare = { ...task, attempts: task.attempts.map((attempt) => ({ ...attempt, placement: null })) };
    assert.deepEqual(decodeTask(encodeTask(bare)), bare);
    assert.deepEqual(decodeTask(encodeTask(task)), task);
  });

  it('of a task that claims to be assigned and has no attempt show none', async () => {
    const driver = await withNode();
    driver.submit('a');
    driver.assign('a', 'n1');
    const task = driver.task('a');
    assert.equal(currentAttempt(task)?.node, 'n1');
    assert.equal(currentAttempt({ ...task, attempts: [] }), null);
  });

  it('in a segment whose status no version knows count as failed, and a segment of none begins at index 0', () => {
    const index = new TextEncoder().encode('7\n[[1,"a",99,5,0]]');
    assert.deepEqual(decodeSegmentIndex(index), [
      { seq: 1, id: 'a', status: 'failed', finishedAt: 5, key: null },
    ]);
    assert.equal(new TextDecoder().decode(encodeSegment([], []).index), '0\n[]');
  });

  it('of candidates keep what is known of reservations and speed, and what is not', () => {
    const rows = [
      ['server1', 1, 2, 0, 4, 9, null, 1.5, 256, 0.75],
      ['server2', 1, 2, 0, 4, 9, null, null, null, null],
    ] as const;
    assert.deepEqual(decodeRows(encodeRows(rows)), rows);
  });

  it('are found by submission number and by how they ended, but for those that are retired', async () => {
    const driver = await MachineDriver.create(4);
    driver.nodeUp('n1');
    for (let n = 0; n < 8; n += 1) driver.run(`t${n}`);
    driver.one({ op: 'retire', through: 4 });
    const { archive } = driver.machine.state.tasks;
    assert.equal(archive.seqBelow(9, 'succeeded'), 8);
    assert.equal(archive.seqBelow(5, 'succeeded'), 0);
    assert.equal(archive.seqBelow(9, 'failed'), 0);
  });
});

describe('small structures', () => {
  it('ids that share a bucket are not taken for one another', () => {
    const index = new IdIndex();
    index.add('abc111');
    index.delete('abc222');
    assert.deepEqual(index.find('abc1', 10), ['abc111']);
    assert.deepEqual(index.find('abc9', 10), []);
  });

  it('a queue ignores the removal of what it does not have', () => {
    const queue = new ShapeQueue('');
    queue.add(50, 1);
    queue.remove(10, 1);
    queue.remove(50, 2);
    assert.equal(queue.rank(50, 9), 1);
  });

  it('rows with fewer fields than there should be read as not known', () => {
    const [row] = decodeRows('server1');
    assert.deepEqual(row?.slice(0, 3), ['server1', null, null]);
    assert.ok(row.slice(5).every((field) => field === null));
  });

  it('without schedules, or before the first one, nothing is due', () => {
    const schedules = new ScheduleTable();
    assert.deepEqual(schedules.due(5), []);
  });

  it('tasks that ask nothing of a node are of one shape, however they say so', () => {
    assert.equal(shapeOf({}), '');
    assert.equal(shapeOf({ constraints: {} }), '');
    assert.equal(shapeOf({ cpu: 0, memoryMb: 0 }), '');
    assert.notEqual(shapeOf({ cpu: 2 }), '');
    assert.equal(shapeOf({ constraints: { b: '1', a: '2' } }), shapeOf({ constraints: { a: '2', b: '1' } }));
    assert.equal(backoffMsOf({}), 1_000);
  });
});
