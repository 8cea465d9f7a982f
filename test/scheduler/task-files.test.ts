/** Collected files in the replicated state, and read from the node where they are not in it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CollectedFiles, FileBytes } from '../../src/api/task-files.ts';
import type { FakeWorker } from './fake-worker.ts';
import { taskResult } from './machine-driver.ts';
import { TestCluster } from './test-cluster.ts';

const NEVER = new AbortController().signal;
const COLLECTED: CollectedFiles = {
  files: [
    { path: 'big.bin', bytes: 7, kept: 'node' },
    { path: 'out/small.txt', bytes: 5, kept: 'cluster' },
  ],
  leftOut: 'not kept: 1 file (9 bytes): more than 67108864 bytes',
};

async function textOf({ chunks }: FileBytes): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

async function finishedTask(): Promise<{ test: TestCluster; worker: FakeWorker; id: string }> {
  const test = await TestCluster.create();
  test.consensus.version = 2; // what is replicated of files is new
  test.consensus.elect();
  await test.clock.advance(3_500);
  const worker = await test.worker('worker1');
  const id = await test.submit({ collect: ['**'], files: [{ path: 'in', contentBase64: 'YQ==' }] });
  assert.deepEqual(worker.runs.at(-1)?.spec.files, [{ path: 'in', contentBase64: 'YQ==' }]);
  assert.deepEqual(worker.runs.at(-1)?.spec.collect, ['**']);
  worker.say({
    ...{ kind: 'finished', ...worker.lastRun(), outcome: 'succeeded', reason: null, runMs: 5 },
    result: { ...taskResult(), collected: COLLECTED },
    contents: { 'out/small.txt': Buffer.from('small').toString('base64') },
  });
  await test.clock.settle();
  return { test, worker, id };
}

describe('collected files', () => {
  it('are listed with the result; content is no part of the task as shown', async () => {
    const { test, id } = await finishedTask();
    assert.deepEqual(test.cluster.taskFiles(id), { task: id, attempt: 1, node: 'worker1', ...COLLECTED });
    const view = test.cluster.getTask(id);
    assert.deepEqual(view.result?.collected, COLLECTED);
    assert.ok(!JSON.stringify(view).includes(Buffer.from('small').toString('base64')));
  });

  it('that are replicated are there without the node, from the archive too', async () => {
    const { test, worker, id } = await finishedTask();
    worker.hangUp();
    // Four finished tasks make a segment in the store.
    const other = await test.worker('worker2');
    for (let n = 0; n < 6; n += 1) {
      await test.submit();
      other.finished(other.lastRun());
      await test.clock.settle();
    }
    assert.equal(test.task(id).contents?.['out/small.txt'], Buffer.from('small').toString('base64'));
    assert.equal(await textOf(await test.cluster.openFile(id, 'out/small.txt', NEVER)), 'small');
  });

  it('that are larger are read from the node piece by piece; UNAVAILABLE while it is away', async () => {
    const { test, worker, id } = await finishedTask();
    const answer = async (text: string): Promise<void> => {
      await test.clock.settle();
      const question = worker.of('readFile').at(-1);
      assert.ok(question);
      assert.deepEqual([question.path, question.token], ['big.bin', worker.lastRun().token]);
      const nextOffset = question.offset + text.length;
      const data = Buffer.from(text).toString('base64');
      worker.say({ kind: 'output', request: question.request, data, nextOffset, end: nextOffset >= 7 });
      await test.clock.settle();
    };
    const opening = test.cluster.openFile(id, 'big.bin', NEVER);
    await answer('one ');
    const reading = textOf(await opening);
    await answer('two');
    assert.equal(await reading, 'one two');
    assert.deepEqual(
      worker.of('readFile').map(({ offset }) => offset),
      [0, 4],
    );

    const gone = assert.rejects(test.cluster.openFile(id, 'big.bin', NEVER), {
      code: 'NOT_FOUND',
      message: /not kept/,
    });
    await test.clock.settle();
    const request = worker.of('readFile').at(-1)?.request ?? 0;
    worker.say({ kind: 'outputError', request, message: 'that file is not kept on its node any more' });
    await gone;
    worker.hangUp();
    await assert.rejects(test.cluster.openFile(id, 'big.bin', NEVER), {
      code: 'UNAVAILABLE',
      message: /kept on worker1 only .* not connected/,
    });
  });

  it('that are not there say why', async () => {
    const { test, id } = await finishedTask();
    const missing = (task: string, message: RegExp): Promise<void> =>
      assert.rejects(test.cluster.openFile(task, 'x', NEVER), { code: 'NOT_FOUND', message });
    await missing(id, /has no file "x"/);
    await missing(await test.submit(), /without collect/);
    await missing(
      await test.submit({ collect: ['x'] }),
      /is (queued|assigned): its files are kept when it has ended/,
    );
  });

  it('and output go from the node when retention has dropped the task', async () => {
    const test = await TestCluster.leading({ retention: { ageMs: 3_600_000, tasksMax: 1 } });
    const worker = await test.worker('worker1');
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      ids.push(await test.submit());
      worker.finished(worker.lastRun());
      await test.clock.settle();
    }
    const asked = async (): Promise<readonly string[]> => {
      worker.say({ kind: 'heartbeat', seq: 1_000, sample: null, kept: ids });
      await test.clock.advance(1_000);
      return worker.of('heartbeatAck').flatMap(({ forget }) => forget ?? []);
    };
    await test.clock.advance(120_000);
    assert.deepEqual(await asked(), ids.slice(0, 2), 'all but the newest are dropped');
  });
});
