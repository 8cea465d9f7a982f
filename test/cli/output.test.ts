/** What the commands print: tables for people, JSON and ids for scripts. */
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { TaskView } from '../../src/api/tasks.ts';
import { until } from '../sdk/harness.ts';
import { fakeApi, runAtOnce, runCli } from './cli.ts';

describe('lists', () => {
  it('are aligned tables with short ids; JSON arrays; a line of JSON each; ids with -q', async () => {
    const { cluster, clb } = await fakeApi();
    runAtOnce(cluster);
    for (const name of ['short', 'a much longer name']) cluster.submitted({ name, command: ['true'] });
    const [table, json, jsonl, quiet] = await Promise.all([
      clb('tasks'),
      clb('tasks', '-o', 'json'),
      clb('-o', 'jsonl', 'tasks'),
      clb('tasks', '-q'),
    ]);
    const lines = table.stdout.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^ID {8}NAME +STATUS +PRI +NODE +ATTEMPT +AGE +DURATION +EXIT$/);
    assert.match(lines[1] ?? '', /^aaaaaaa2 {2}a much longer name {2}succeeded +50 {2}worker1 +1 /);
    assert.equal(lines[1]?.indexOf('succeeded'), lines[2]?.indexOf('succeeded'));
    const ids = (JSON.parse(json.stdout) as TaskView[]).map(({ id }) => id);
    assert.deepEqual(
      ids,
      cluster
        .tasks()
        .map(({ id }) => id)
        .reverse(),
    );
    assert.deepEqual(
      jsonl.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as TaskView).id),
      ids,
    );
    assert.equal(quiet.stdout, `${ids.join('\n')}\n`);
  });

  it('are read page by page up to the limit', async () => {
    const { cluster, clb } = await fakeApi();
    for (let n = 0; n < 3; n += 1) cluster.submitted({ command: ['true'] });
    const two = await clb('tasks', '--limit', '2', '-q');
    assert.equal(two.stdout.trimEnd().split('\n').length, 2);
    for (let n = 0; n < 1_200; n += 1) cluster.submitted({ command: ['true'] });
    const [many, some] = await Promise.all([clb('tasks', '--limit', '1100', '-q'), clb('tasks')]);
    assert.equal(new Set(many.stdout.trimEnd().split('\n')).size, 1_100);
    assert.equal(some.stdout.trimEnd().split('\n').length, 51);
    assert.match(some.stderr, /the newest 50 are shown \(1203 tasks in all\)/);
  });

  it('end quietly when the reader leaves early', async () => {
    const { cluster, start } = await fakeApi();
    cluster.nodes = Array.from({ length: 5_000 }, (_, n) => ({ ...cluster.nodes[0]!, id: `node${n}` }));
    const running = start(['nodes']);
    running.closeStdout();
    const { code, stderr } = await running.ended;
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('have no colors in a pipe, whatever NO_COLOR says', async () => {
    const { start } = await fakeApi();
    for (const env of [{}, { NO_COLOR: '1' }]) {
      const { stdout } = await start(['nodes'], { env }).ended;
      assert.doesNotMatch(stdout, /\x1b/);
      assert.match(stdout, /^NAME +ROLE +STATUS +ELIGIBLE +CPU +MEM +RUNNING +LAST-SEEN +ADDRESS +LABELS\n/);
      assert.match(stdout, /\nserver1 {2}server, master {2}ready +yes +12% {2}46% +1\/2 /);
    }
  });

  it('with --watch in a pipe print what changes, until Ctrl-C', async () => {
    const { cluster, start } = await fakeApi();
    const running = start(['tasks', '--watch', '-o', 'jsonl']);
    const statuses = (): string[] =>
      running.stdout
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as TaskView).status]));
    await until('it listens', () => cluster.server(0).streams === 1, 25_000);
    cluster.submitted({ command: ['true'] });
    await until('the new task is shown', () => statuses().length === 1, 25_000);
    const [{ id } = { id: '' }] = cluster.tasks();
    cluster.finish(id);
    await until('its end is shown', () => statuses().length === 2, 25_000);
    assert.deepEqual(statuses(), ['queued', 'succeeded']);
    running.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
  });
});

describe('task', () => {
  it('shows attempts, the reason of the placement with its candidates, and the timeline', async () => {
    const { cluster, clb } = await fakeApi();
    runAtOnce(cluster);
    const { id } = cluster.submitted({ command: ['echo', 'it is me'] });
    const [text, json] = await Promise.all([clb('task', 'aaaaaaa1'), clb('task', id, '-o', 'json')]);
    assert.match(text.stdout, /Status +succeeded\n/);
    assert.match(text.stdout, /Runs +echo 'it is me'\n/);
    assert.match(text.stdout, /Attempts\n {2}NO {2}NODE/);
    assert.match(text.stdout, /worker1 has the most room\n/);
    assert.match(
      text.stdout,
      /worker1 +3% +40% +0\/2 +- +1\.00 +0\.250 {2}chosen\n {2}server2 +- +- +0\/2 +- +1\.00 +- {2}draining\n/,
    );
    assert.match(text.stdout, /Timeline\n {2}TIME .*\n.*submitted/);
    assert.match(text.stdout, /stdout \(6 bytes\)\n {2}hello\n/);
    assert.equal((JSON.parse(json.stdout) as { events: object[] }).events.length, 2);
  });
});

describe('logs', () => {
  it('prints bytes as they are, the last lines, and either stream', async () => {
    const { cluster, clb } = await fakeApi();
    runAtOnce(cluster, (id) => {
      cluster.write(id, 'stdout', 'a\nb\nc\n');
      cluster.write(id, 'stderr', 'oops');
      cluster.finish(id);
    });
    cluster.submitted({ command: ['true'] });
    const [all, tail, stderr, follow] = await Promise.all([
      clb('logs', 'aaaaaaa1'),
      clb('logs', 'aaaaaaa1', '--tail', '2'),
      clb('logs', 'aaaaaaa1', '--stderr'),
      clb('logs', 'aaaaaaa1', '-f', '--tail', '1'),
    ]);
    assert.deepEqual(
      [all.stdout, tail.stdout, stderr.stdout, follow.stdout],
      ['a\nb\nc\n', 'b\nc\n', 'oops', 'c\n'],
    );
  });
});

describe('raft', () => {
  it("shows each server's own row, those that do not answer too, and who leads", async () => {
    const { cluster, start } = await fakeApi(3);
    cluster.server(2).misbehave = () => ({ kind: 'text', status: 418, text: 'stopped' });
    const servers = [...cluster.addresses, '127.0.0.1:1'];
    const [text, json] = await Promise.all([
      start(['raft'], { servers }).ended,
      start(['raft', 'status', '-o', 'json'], { servers }).ended,
    ]);
    assert.equal(text.code, 0);
    const lines = text.stdout.split('\n');
    assert.match(lines[0] ?? '', /^SERVER +ADDRESS +ROLE +TERM +LAST +COMMIT +APPLIED +LAG$/);
    assert.match(lines[1] ?? '', /^server1 .* leader +3 +10 +10 +10 +0$/);
    assert.match(lines[2] ?? '', /^server2 .* follower +3 +10 +10 +10 +0$/);
    assert.match(lines[3] ?? '', /^server3 .* stopped +- /);
    assert.match(lines[4] ?? '', / unreachable: nobody listens/);
    assert.match(text.stdout, /server1 leads since 2026-01-02T03:04:05\.678Z/);
    const status = JSON.parse(json.stdout) as { leader: string; servers: object[] };
    assert.deepEqual([status.leader, status.servers.length], ['server1', 4]);
  });

  it('exits with 4 where there is no master', async () => {
    const { cluster, clb } = await fakeApi(1);
    cluster.leader = null;
    const { code, stderr } = await clb('raft');
    assert.equal(code, 4);
    assert.match(stderr, /no master/);
  });

  it('log prints the newest entries, or a range', async () => {
    const { clb } = await fakeApi();
    const [newest, range] = await Promise.all([
      clb('raft', 'log'),
      clb('raft', 'log', '--from', '2', '--to', '4', '-o', 'jsonl'),
    ]);
    assert.match(newest.stdout, /^INDEX {2}TERM {2}KIND +TIME {2}DATA\n {4}1 {5}1 {2}noop/);
    assert.equal(newest.stdout.trimEnd().split('\n').length, 11);
    assert.deepEqual(
      range.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { index: number }).index),
      [2, 3, 4],
    );
  });
});

describe('what changes something', () => {
  it('cancel, retry, drain, stop and start tell what they did', async () => {
    const { cluster, clb } = await fakeApi();
    cluster.submitted({ command: ['true'] });
    const canceled = await clb('cancel', 'aaaaaaa1');
    assert.deepEqual([canceled.code, cluster.task('aaaaaaa1').status], [0, 'canceled']);
    const both = await clb('retry', 'ffffffff', 'aaaaaaa1');
    assert.equal(both.code, 3, 'the one that failed');
    assert.match(both.stdout, /^aaaaaaa2-.*\n$/, 'the other one was done');
    const [drain, stop] = await Promise.all([
      clb('drain', 'server1', '--deadline', '1m'),
      clb('stop', 'server1'),
    ]);
    assert.deepEqual([drain.code, stop.code], [0, 0]);
    assert.deepEqual(cluster.drains, [{ node: 'server1', drain: true, deadlineMs: 60_000 }]);
    assert.ok(cluster.stopped.has('server1'));
    assert.equal((await clb('start', 'server1')).code, 0);
    assert.ok(!cluster.stopped.has('server1'));
  });
});

describe('--version', () => {
  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    assert.equal((await runCli(['--version'])).stdout, `${version}\n`);
  });
});
