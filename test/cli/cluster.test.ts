/** `clb queue` and `clb raft transfer`, and the views that keep themselves up to date. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { until } from '../sdk/harness.ts';
import { fakeApi } from './cli.ts';

describe('clb queue', () => {
  it('shows, pauses and resumes the queue, in every form', async () => {
    const { cluster, clb } = await fakeApi();
    cluster.submitted({ command: ['true'] });
    const shown = await clb('queue');
    assert.match(shown.stdout, /^QUEUE +SCHEDULED +QUEUED +ASSIGNED +RUNNING\nactive +0 +1 +0 +0\n$/);
    const paused = await clb('queue', 'pause');
    assert.deepEqual([paused.code, cluster.paused], [0, true]);
    assert.match(paused.stdout, /paused, 0 running tasks go on; resume it with: clb queue resume/);
    assert.equal((await clb('queue', '-q')).stdout, 'paused\n');
    const resumed = await clb('queue', 'resume', '-o', 'json');
    assert.deepEqual(JSON.parse(resumed.stdout), {
      paused: false,
      lengths: { scheduled: 0, queued: 1, assigned: 0, running: 0 },
    });
  });

  it('with --watch in a pipe prints what changes', async () => {
    const { cluster, start } = await fakeApi();
    const running = start(['queue', '--watch', '-o', 'jsonl']);
    const lines = (): string[] => running.stdout.split('\n').filter((line) => line !== '');
    await until('it is shown', () => lines().length === 1, 25_000);
    cluster.submitted({ command: ['true'] });
    await until('the change is shown', () => lines().length === 2, 25_000);
    assert.match(lines()[1] ?? '', /"queued":1/);
    running.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
  });
});

describe('clb raft', () => {
  it('transfer makes another server the master; 3 for no such voter, 1 for one that cannot be', async () => {
    const { cluster, clb } = await fakeApi(2);
    const moved = await clb('raft', 'transfer', 'server2');
    assert.deepEqual([moved.code, moved.stdout], [0, 'server2 leads, term 4\n']);
    assert.equal(cluster.leader, 'server2');
    const stranger = await clb('raft', 'transfer', 'server9');
    assert.equal(stranger.code, 3, stranger.stderr);
    cluster.stopped.add('server1');
    const silent = await clb('raft', 'transfer', 'server1');
    assert.equal(silent.code, 1, silent.stderr);
    assert.match(silent.stderr, /server1 was never heard of/);
  });

  it('--watch in a pipe prints who changed its role', async () => {
    const { cluster, start } = await fakeApi(2);
    const running = start(['raft', '--watch', '-o', 'jsonl']);
    const roles = (): string[] =>
      running.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const { id, role } = JSON.parse(line) as { id: string; role: string };
          return `${id} ${role}`;
        });
    await until('both are shown', () => roles().length === 2, 25_000);
    cluster.leader = 'server2';
    cluster.publish([{ kind: 'leader', id: 'server2', term: 4 }]);
    await until('the change is shown', () => roles().length === 4, 25_000);
    assert.deepEqual(roles().slice(2).sort(), ['server1 follower', 'server2 leader']);
    running.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
  });
});
