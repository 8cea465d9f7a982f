/**
 * Goal: bad input of any kind gets its clear error and the nodes go on: requests that are not JSON, wrong types, unknown
 * fields, a 50 MB body; payloads that print 100 MB, fork a tree, ignore SIGTERM, never end, are not Python; a missing
 * interpreter; a taken port; a locked, foreign or damaged data folder.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ErrorBody } from '../../src/api/errors.ts';
import type { TaskView } from '../../src/api/tasks.ts';
import { CLB, eventually, ProcessCluster, processesMatching } from './processes.ts';

/** Less than a block of the store. */
const DAMAGE_EVERY_BYTES = 128;

describe('bad input', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  let pids: readonly number[];
  before(async () => {
    cluster = await ProcessCluster.start();
    pids = cluster.nodes.map((node) => cluster.pid(node.id));
  });
  after(async () => cluster.destroy());
  afterEach(() => {
    assert.deepEqual(
      cluster.nodes.map((node) => cluster.pid(node.id)),
      pids,
      'every node is still the same process',
    );
  });

  async function refused(body: unknown, status: number, pattern: RegExp): Promise<void> {
    for (const id of ['client', 'server1', 'server2']) {
      const answer = await cluster.request<ErrorBody>(id, 'POST', '/v1/tasks', body);
      assert.equal(answer.status, status, `${id}: ${JSON.stringify(answer.body)}`);
      assert.match(answer.body.error.message, pattern);
    }
  }

  async function run(task: unknown, waitS = 60): Promise<TaskView> {
    const answer = await cluster.request<TaskView>('client', 'POST', '/v1/tasks', task);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return eventually(
      `task ${answer.body.id} is final`,
      async () => {
        const view = await cluster.get<TaskView>('client', `/v1/tasks/${answer.body.id}?wait=10s`);
        return view.finishedAt === null ? null : view;
      },
      waitS * 1_000,
    );
  }

  it('requests: not JSON, wrong types, unknown fields, missing ones', async () => {
    await refused('{"script": ', 400, /JSON/);
    await refused('[]', 400, /object/i);
    await refused({}, 400, /script.*command|command.*script/);
    await refused({ script: 'x', command: ['x'] }, 400, /exactly one/);
    await refused({ script: 7 }, 400, /script/);
    await refused({ script: 'x', timeoutMs: -1 }, 400, /timeoutMs/);
    await refused({ script: 'x', priority: 101 }, 400, /priority.*100/);
    await refused({ script: 'x', nonsense: 1 }, 400, /nonsense/);
    await refused({ script: 'x', env: { A: 1 } }, 400, /env\.A/);
    const logged = (await cluster.request<{ entries: readonly unknown[] }>('server1', 'GET', '/v1/raft/log'))
      .body;
    assert.doesNotMatch(JSON.stringify(logged), /nonsense/, 'never reaches the log');
  });

  it('a task over 1 MiB and a body of 50 MB name the limit', async () => {
    await refused({ script: 'x'.repeat(1_100_000) }, 413, /1.?048.?576|1 MiB/);
    for (const id of ['client', 'server1']) {
      const answer = await cluster
        .request<ErrorBody>(id, 'POST', '/v1/tasks', `{"script":"${'x'.repeat(50_000_000)}"}`)
        // The server may close before all of it was sent: that is an answer too.
        .catch(() => null);
      if (answer !== null) assert.deepEqual([answer.status, answer.body.error.code], [413, 'TOO_LARGE']);
      assert.equal((await cluster.request(id, 'GET', '/healthz')).status, 200);
    }
  });

  it('prints 100 MB: head and tail are kept, all of it is counted', async () => {
    const task = await run({
      script: "import sys\nfor i in range(1000): sys.stdout.write('x' * 99999 + '\\n')\nprint('the end')",
    });
    assert.equal(task.status, 'succeeded');
    assert.equal(task.result?.stdoutBytes, 100_000_008);
    assert.equal(task.result.truncated, true);
    assert.ok(task.result.stdout.length <= 70_000 && task.result.stdout.endsWith('the end\n'));
  });

  it('forks a tree of processes, one of them in a session of its own: none is left', async () => {
    const marker = `clb-tree-${process.pid}`;
    const task = await run({
      script: `import subprocess, sys
subprocess.Popen(['sleep', '600'], env={'M': '${marker}'})
subprocess.Popen([sys.executable, '-c', 'import os,time; os.setsid(); os.fork(); time.sleep(600)', '${marker}'], start_new_session=True)
subprocess.Popen(['sh', '-c', 'sh -c "sleep 601; echo ${marker}" & wait'])
import time; time.sleep(0.5)
print('left them behind')`,
    });
    assert.equal(task.status, 'succeeded');
    assert.deepEqual(
      processesMatching((line) => line.includes(marker) || line === 'sleep 600 ' || line === 'sleep 601 '),
      [],
    );
  });

  it('ignores SIGTERM and never ends: killed at its time-out', async () => {
    const task = await run({
      script: 'import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)',
      timeoutMs: 1_000,
    });
    assert.deepEqual([task.status, task.result?.signal], ['timed_out', 'SIGKILL']);
  });

  it('never ends: can be canceled while it runs', async () => {
    const { body } = await cluster.request<TaskView>('client', 'POST', '/v1/tasks', {
      command: ['sleep', '3600'],
    });
    await eventually(
      'it runs',
      async () => (await cluster.get<TaskView>('client', `/v1/tasks/${body.id}`)).status === 'running',
    );
    assert.equal((await cluster.request('client', 'POST', `/v1/tasks/${body.id}/cancel`, {})).status, 200);
    const task = await eventually('it is canceled', async () => {
      const view = await cluster.get<TaskView>('client', `/v1/tasks/${body.id}?wait=10s`);
      return view.status === 'canceled' ? view : null;
    });
    assert.equal(task.attempts[0]?.outcome, 'canceled');
    assert.equal((await cluster.request('client', 'POST', `/v1/tasks/${body.id}/cancel`, {})).status, 409);
  });

  it('is not Python, has no interpreter, no program, no folder: failed with the reason', async () => {
    const notPython = await run({ script: 'this is not: python' });
    assert.deepEqual([notPython.status, notPython.result?.exitCode], ['failed', 1]);
    assert.match(notPython.result!.stderr, /SyntaxError/);
    const noInterpreter = await run({ script: 'puts 1', interpreter: 'no-such-interpreter' });
    assert.equal(noInterpreter.status, 'failed');
    assert.match(noInterpreter.attempts[0]!.reason!, /no-such-interpreter.*(server|worker)\d/);
    const noProgram = await run({ command: ['no-such-program'] });
    assert.match(noProgram.attempts[0]!.reason!, /no-such-program/);
    const noFolder = await run({ command: ['true'], cwd: '/no/such/folder' });
    assert.match(noFolder.attempts[0]!.reason!, /\/no\/such\/folder/);
  });

  it('every node still does its work', async () => {
    assert.equal((await run({ script: 'print(1)' })).status, 'succeeded');
  });
});

describe('bad surroundings', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start();
  });
  after(async () => cluster.destroy());

  /** Runs a node to its end and returns what it says. */
  function start(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): { status: number | null; stderr: string } {
    const result = spawnSync(process.execPath, [CLB, ...args], {
      encoding: 'utf8',
      timeout: 20_000,
      env: { ...process.env, CLB_TOKEN: '', ...env },
    });
    return { status: result.status, stderr: result.stderr };
  }
  const argsOf = (id: string, replace: Readonly<Record<string, string>>): string[] => {
    const args = [...cluster.node(id).args];
    for (const [flag, value] of Object.entries(replace)) args[args.indexOf(flag) + 1] = value;
    return args;
  };

  it('a taken port', async () => {
    const taken = createServer();
    await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done));
    const { port } = taken.address() as { port: number };
    const result = start(
      argsOf('worker1', { '--port': String(port), '--data': join(cluster.folder, 'other') }),
    );
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, new RegExp(`port ${port}.*in use`));
    const up = start(['up', '--data', join(cluster.folder, 'up'), '--port-base', String(port - 2)]);
    assert.equal(up.status, 1);
    assert.match(up.stderr, new RegExp(`port ${port} \\(server1\\) is in use`));
    taken.close();
  });

  it('a data folder in use by another process', () => {
    const free = String(cluster.portBase + 50);
    for (const id of ['server1', 'worker1', 'client', 'database']) {
      const result = start(argsOf(id, { '--port': free }));
      assert.notEqual(result.status, 0, id);
      assert.match(result.stderr, /in use by another process/, id);
    }
  });

  it('an address of the network without a token', () => {
    const result = start([
      ...argsOf('worker1', { '--port': '1', '--data': join(cluster.folder, 'open') }),
      '--host',
      '0.0.0.0',
    ]);
    assert.equal(result.status, 2);
    assert.match(result.stderr, /token/);
  });

  it("another node's data folder, and a damaged one", async () => {
    await cluster.signal('server2', 'SIGTERM');
    await cluster.signal('server3', 'SIGTERM');
    const foreign = start(argsOf('server2', { '--data': join(cluster.folder, 'server3') }));
    assert.notEqual(foreign.status, 0);
    assert.match(foreign.stderr, /server3/);

    const db = join(cluster.folder, 'server3');
    const logs = readdirSync(db, { recursive: true, encoding: 'utf8' }).filter(
      (name) => /raft.*\.(log|ldb)$/.test(name) || /db\/.*\.(log|ldb)$/.test(name),
    );
    assert.ok(logs.length > 0, 'the files of the store were found');
    for (const name of logs) {
      const path = join(db, name);
      const bytes = readFileSync(path);
      // Every block of every file: what is read first when it is wanted (outputs of ended tasks) is not all that is hit.
      for (let at = DAMAGE_EVERY_BYTES / 2; at < bytes.length; at += DAMAGE_EVERY_BYTES) bytes[at]! ^= 0xff;
      writeFileSync(path, bytes);
    }
    const damaged = start(argsOf('server3', {}));
    assert.notEqual(damaged.status, 0);
    assert.match(damaged.stderr, /damaged|corrupt/i);
    assert.match(damaged.stderr, /recovery/i, 'says where the way out is described');

    cluster.startNode('server2');
    await eventually(
      'the others have a quorum and go on',
      async () => (await cluster.request('client', 'GET', '/v1/nodes')).status === 200,
    );
    const answer = await cluster.request('client', 'POST', '/v1/tasks', { script: 'print(1)' });
    assert.equal(answer.status, 201);
  });
});
