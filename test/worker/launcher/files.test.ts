/** Files that go with a task, and those that are kept of it, through a real launcher. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LIMITS } from '../../../src/api/limits.ts';
import { launcherLayout } from '../../../src/worker/launcher/layout.ts';
import { Harness, poll } from './harness.ts';
import type { Finished } from './harness.ts';

function file(path: string, content: string) {
  return { path, contentBase64: Buffer.from(content).toString('base64') };
}

function kept(ending: Finished): readonly string[] {
  return (ending.result.collected?.files ?? []).map((one) => `${one.path} ${one.bytes} ${one.kept}`);
}

async function readKept(harness: Harness, ref: { task: string; token: number }, path: string) {
  const parts: Uint8Array[] = [];
  for (let offset = 0; ;) {
    const chunk = await harness.executor.readFile(ref, { path, offset, maxBytes: 100_000 });
    parts.push(chunk.data);
    offset = chunk.nextOffset;
    if (chunk.end) return Buffer.concat(parts);
  }
}

describe('files of a task', () => {
  let harness: Harness;

  before(async () => {
    harness = new Harness();
    await harness.start();
  });

  after(() => harness.stop());

  it('lie in its scratch folder, folders made, executable', async () => {
    const ending = await harness.run({
      command: ['sh', '-c', 'cat data/in.txt && ./bin/tool && ls -A'],
      files: [file('data/in.txt', 'hello\n'), file('bin/tool', '#!/bin/sh\necho ran "$0"\n')],
    });
    assert.equal(ending.result.stdout, 'hello\nran ./bin/tool\n.tmp\nbin\ndata\n');
    assert.equal(ending.result.collected, undefined);
  });

  it('small ones that match collect are part of the result, whatever the outcome', async () => {
    const ending = await harness.run({
      command: ['sh', '-c', 'mkdir out; printf one > out/1.txt; printf two > b.log; echo x > c.bin; exit 3'],
      collect: ['out/*', '*.log'],
    });
    assert.equal(ending.outcome, 'failed');
    assert.deepEqual(kept(ending), ['b.log 3 cluster', 'out/1.txt 3 cluster']);
    assert.equal(ending.result.collected?.leftOut, null);
    const contents = Object.entries(ending.contents ?? {}).map(([path, text]) => [
      path,
      Buffer.from(text, 'base64').toString(),
    ]);
    assert.deepEqual(contents, [
      ['b.log', 'two'],
      ['out/1.txt', 'one'],
    ]);
  });

  it('larger ones stay on the node, until the output is removed too', async () => {
    const bytes = LIMITS.resultFilesBytesMax + 5;
    const ref = harness.launch({
      command: ['sh', '-c', `head -c ${bytes} /dev/zero > big; printf small > small`],
      collect: ['*'],
    });
    const ending = await harness.finished(ref);
    assert.deepEqual(kept(ending), [`big ${bytes} node`, 'small 5 cluster']);
    assert.deepEqual(Object.keys(ending.contents ?? {}), ['small']);
    assert.equal((await readKept(harness, ref, 'big')).byteLength, bytes);
    harness.executor.acknowledge(ref);
    const { kept: place } = launcherLayout(harness.dataDir);
    await poll(
      () => readdirSync(place).some((name) => name.startsWith(ref.task)),
      'the files are moved to the kept ones',
    );
    assert.equal((await readKept(harness, ref, 'big')).byteLength, bytes);
    for (const path of ['nothing', '../stdout', '/etc/passwd', 'small']) {
      await assert.rejects(readKept(harness, ref, path), { code: 'OUTPUT_GONE' });
    }
  });

  it('follow no link, take a folder as all that is in it, leave out what is no file', async () => {
    const ending = await harness.run({
      command: [
        'sh',
        '-c',
        'mkdir -p out/a; echo 1 > out/a/f; ln -s /etc/passwd out/link; ln -s /etc out/etc; mkfifo out/pipe; echo 2 > .secret',
      ],
      collect: ['out', '**'],
    });
    assert.deepEqual(kept(ending), ['out/a/f 2 cluster']);
  });

  it('over a limit are left out, and it is said', async () => {
    const many = await harness.run({
      command: [
        'sh',
        '-c',
        `i=0; while [ $i -lt ${LIMITS.collectFilesMax + 3} ]; do : > f$i; i=$((i+1)); done`,
      ],
      collect: ['f*'],
    });
    assert.equal(many.outcome, 'succeeded');
    assert.equal(many.result.collected?.files.length, LIMITS.collectFilesMax);
    assert.equal(
      many.result.collected.leftOut,
      `not kept: 3 files: more than ${LIMITS.collectFilesMax} files`,
    );
    const large = await harness.run({
      command: ['sh', '-c', `truncate -s ${LIMITS.collectBytesMax + 1} a; echo fits > b`],
      collect: ['*'],
    });
    assert.deepEqual(kept(large), ['b 5 cluster']);
    assert.equal(
      large.result.collected?.leftOut,
      `not kept: 1 file (${LIMITS.collectBytesMax + 1} bytes): more than ${LIMITS.collectBytesMax} bytes`,
    );
  });

  it('leave nothing of the scratch folder behind', async () => {
    const ref = harness.launch({
      command: ['sh', '-c', 'mkdir -p x/y; echo 1 > x/y/z'],
      files: [file('given', 'x')],
      collect: ['x/**'],
    });
    await harness.finished(ref);
    const { attempts } = launcherLayout(harness.dataDir);
    for (const name of readdirSync(attempts))
      assert.equal(existsSync(join(attempts, name, 'scratch')), false);
  });

  it('are removed when the cluster keeps the task no more', async () => {
    const ref = harness.launch({ command: ['sh', '-c', 'head -c 400000 /dev/zero > big'], collect: ['*'] });
    await harness.finished(ref);
    await poll(async () => (await harness.executor.keptTasks()).includes(ref.task), 'it is kept');
    harness.executor.forget(['t-other', ref.task]);
    await poll(async () => !(await harness.executor.keptTasks()).includes(ref.task), 'it is gone');
    await assert.rejects(readKept(harness, ref, 'big'), { code: 'OUTPUT_GONE' });
  });
});
