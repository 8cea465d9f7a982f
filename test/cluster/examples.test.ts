/**
 * Goal: every example of examples/ does what its README says, against a real cluster. The program that makes thumbnails is a
 * stand-in here (a line of Python): ffmpeg is no part of the tests.
 */
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { TaskPage } from '../../src/api/tasks.ts';
import { CLB, eventually, ProcessCluster } from './processes.ts';

const examples = resolve(import.meta.dirname, '../../examples');
const run = promisify(execFile);
const EXAMPLE_MS_MAX = 90_000;

interface Failed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the examples', { timeout: 400_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'clb-examples-'));
  let cluster: ProcessCluster;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    cluster = await ProcessCluster.start({ only: ['server1', 'server2', 'server3', 'worker1'] });
    symlinkSync(CLB, join(folder, 'clb'));
    env = {
      ...process.env,
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      CLB_SERVERS: cluster.servers.join(','),
    };
  });
  after(async () => {
    await cluster.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  const example = (
    file: string,
    args: readonly string[],
    extra: NodeJS.ProcessEnv = {},
  ): Promise<{ readonly stdout: string; readonly stderr: string }> =>
    run(join(examples, file), args, { env: { ...env, ...extra }, timeout: EXAMPLE_MS_MAX });
  const tasksOf = (label: string): Promise<TaskPage> =>
    cluster.getAny<TaskPage>(`/v1/tasks?label=${encodeURIComponent(label)}`);

  it('sweep finds the best parameters, and run again makes no second tasks', async () => {
    const sweep = ['--name', 'test-sweep'];
    const program = join(examples, 'sweep/sweep.py');
    const first = await run('python3', [program, ...sweep], { env, timeout: EXAMPLE_MS_MAX });
    assert.match(first.stdout.split('\n')[0] ?? '', /^loss 0\.0 +rate 0\.01 +depth 4$/);
    const again = await run('python3', [program, ...sweep], { env, timeout: EXAMPLE_MS_MAX });
    assert.equal(again.stdout, first.stdout);
    const { counts } = await tasksOf('sweep=test-sweep');
    assert.ok(counts.succeeded >= 25);
    assert.equal((await tasksOf('sweep=test-sweep')).tasks.length, 25);
  });

  it('thumbnails makes a picture of each video, and says so where there is no ffmpeg', async () => {
    const videos = mkdtempSync(join(tmpdir(), 'clb-videos-'));
    try {
      for (const name of ['a.mp4', 'b c.mkv', 'd.webm', 'notes.txt']) writeFileSync(join(videos, name), name);
      const make = join(folder, 'make-picture');
      writeFileSync(
        make,
        '#!/usr/bin/env python3\nimport shutil, sys\nshutil.copy(sys.argv[1], sys.argv[2])\n',
        {
          mode: 0o755,
        },
      );
      const { stderr } = await example('thumbnails/thumbnails.sh', [videos], {
        THUMBNAIL_COMMAND: `${make} {} {}.jpg`,
      });
      assert.equal(stderr, '', 'quiet where all is well');
      for (const name of ['a.mp4', 'b c.mkv', 'd.webm'])
        assert.ok(existsSync(join(videos, `${name}.jpg`)), name);
      assert.equal(readFileSync(join(videos, 'tasks.txt'), 'utf8').trim().split('\n').length, 3);
      if (spawnSync('ffmpeg', ['-version']).status !== 0) {
        const failed = await example('thumbnails/thumbnails.sh', [videos]).catch(
          (error: unknown) => error as Failed,
        );
        assert.match(failed.stderr, /there is no ffmpeg here/);
      }
    } finally {
      rmSync(videos, { recursive: true, force: true });
    }
  });

  it('nightly adds its schedule once, and each time makes a task', async () => {
    const often = { NIGHTLY_CRON: '* * * * * *', NIGHTLY_ZONE: 'UTC', BACKUP_SOURCE: examples };
    const { stdout } = await example('nightly/nightly.sh', [], often);
    assert.match((await example('nightly/nightly.sh', [], often)).stderr, /there already/);
    const done = await eventually('two nights', async () => {
      const { tasks } = await tasksOf('job=nightly-backup');
      return tasks.filter(({ status }) => status === 'succeeded').length >= 2 ? tasks : null;
    });
    assert.ok(done.every(({ name }) => name === 'nightly-backup'));
    await run('clb', ['schedule', 'remove', stdout.trim()], { env });
    assert.equal((await run('clb', ['schedule', 'list', '-q'], { env })).stdout, '');
  });

  it('express answers at once, has the report later, and streams its log', async () => {
    const app = spawn(process.execPath, [join(examples, 'express/app.mjs')], {
      env: { ...env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let printed = '';
      app.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      const url = await eventually('its address', () => /http:\S+/.exec(printed)?.[0]);
      const post = (month: string): Promise<Response> =>
        fetch(`${url}/reports?month=${month}`, { method: 'POST' });
      const accepted = await post('2026-01');
      assert.equal(accepted.status, 202);
      const { id } = (await accepted.json()) as { id: string };
      assert.equal(((await (await post('2026-01')).json()) as { id: string }).id, id, 'a double click');
      const log = await (await fetch(`${url}/reports/${id}/log`)).text();
      assert.equal(log, 'step 1 of 3\nstep 2 of 3\nstep 3 of 3\nreport of 2026-01\n');
      const report = (await (await fetch(`${url}/reports/${id}`)).json()) as object;
      assert.deepEqual(report, { id, status: 'succeeded', report: 'report of 2026-01' });
      assert.equal((await post('now')).status, 400);
      assert.equal((await fetch(`${url}/reports/0000000000`)).status, 404);
    } finally {
      app.kill();
    }
  });

  it('ci is green where all shards are, and else shows what failed and ends with its code', async () => {
    const green = await example('ci/run-shards.sh', ['3', 'sh', '-c', 'echo shard {}']);
    assert.doesNotMatch(green.stdout, /failed/);
    const red = await example(
      'ci/run-shards.sh',
      ['3', 'sh', '-c', 'echo shard {}; test {} != 2 || exit 5'],
      {
        CLB_RUN: 'red',
      },
    ).catch((error: unknown) => error as Failed & { code: number });
    assert.equal('code' in red ? red.code : 0, 5);
    assert.match(red.stdout, /::group::shard failed, task \w+\nshard 2\n/);
  });
});
