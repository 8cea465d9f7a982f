import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Command } from 'commander';
import {
  collectHostPorts,
  collectList,
  collectPairs,
  collectPeers,
  parseCores,
  parseDuration,
  parseMemory,
  parsePath,
  parseUrl,
} from '../../src/cli/flags.ts';
import { buildProgram } from '../../src/cli/program.ts';
import type { ClientOptions, ListenOptions, ServerOptions, UpOptions } from '../../src/node/options.ts';
import { addTaskOptions, taskRequest, type TaskFlags } from '../../src/cli/task-flags.ts';

describe('durations', () => {
  it('need a unit and may be put together', () => {
    assert.deepEqual(
      ['500ms', '60s', '1.5s', '5m', '1h30m', '7d', '0s'].map(parseDuration),
      [500, 60_000, 1_500, 300_000, 5_400_000, 604_800_000, 0],
    );
    for (const bad of ['', '60', 's', '1 h', '-1s', '1h x', '1w', '1s1']) {
      assert.throws(() => parseDuration(bad), { code: 'commander.invalidArgument' }, bad);
    }
  });
});

describe('sizes', () => {
  it('need a unit and become MiB, rounded up', () => {
    assert.deepEqual(
      ['256M', '256MiB', '2G', '1.5g', '1T', '100K', '1025k'].map(parseMemory),
      [256, 256, 2_048, 1_536, 1_048_576, 1, 2],
    );
    for (const bad of ['', '256', 'M', '-1M', '1X', '1 M']) {
      assert.throws(() => parseMemory(bad), { code: 'commander.invalidArgument' }, bad);
    }
  });
});

describe('repeated flags', () => {
  it('gather pairs, lists, addresses and peers', () => {
    assert.deepEqual(collectPairs('b=x=y', collectPairs('a=', undefined)), { a: '', b: 'x=y' });
    assert.deepEqual(collectList('b, c,', ['a']), ['a', 'b', 'c']);
    assert.deepEqual(collectHostPorts('[::1]:80,h:1', undefined), [
      { host: '::1', port: 80 },
      { host: 'h', port: 1 },
    ]);
    assert.deepEqual(collectPeers('s1=h:1,s2=h:2', undefined), [
      { id: 's1', host: 'h', port: 1 },
      { id: 's2', host: 'h', port: 2 },
    ]);
    for (const bad of ['h', 'h:0', 'h:99999', 'h:1:2', ' :1']) {
      assert.throws(() => collectHostPorts(bad, undefined), { code: 'commander.invalidArgument' }, bad);
    }
    assert.throws(() => collectPairs('=x', undefined));
    assert.throws(() => parseCores('1e3'));
    assert.throws(() => parseUrl('ftp://x'));
    assert.equal(parseUrl('http://h:3003/'), 'http://h:3003');
  });
});

describe('the flags of submit', () => {
  it('become the task, and only what was given', async () => {
    const parse = async (...args: string[]): Promise<object> => {
      let request = {};
      const command = addTaskOptions(new Command());
      command.action(() => {
        request = taskRequest(command.opts<TaskFlags>(), command.args);
      });
      await command.parseAsync(['node', 'x', ...args]);
      return request;
    };
    assert.deepEqual(await parse('--', 'ls', '-l', '--wait'), { command: ['ls', '-l', '--wait'] });
    const args =
      '--name n --env A=1 --env B=2 --cwd /tmp --timeout 60s --max-attempts 3 --backoff 2s --priority 0 --cpu .5 ' +
      '--memory 256M --label a=b --constraint gpu=yes --delay 10s --on-disconnect stop';
    assert.deepEqual(await parse(...args.split(' '), '--', 'true'), {
      command: ['true'],
      name: 'n',
      env: { A: '1', B: '2' },
      cwd: '/tmp',
      timeoutMs: 60_000,
      maxAttempts: 3,
      backoffMs: 2_000,
      priority: 0,
      cpu: 0.5,
      memoryMb: 256,
      labels: { a: 'b' },
      constraints: { gpu: 'yes' },
      delayMs: 10_000,
      onDisconnect: 'stop',
    });
  });
});

describe('the flags of the nodes', () => {
  it('become the options of the composition, with the defaults filled in', async () => {
    const started: object[] = [];
    const run = (options: object): Promise<void> => {
      started.push(options);
      return Promise.resolve();
    };
    const auditFolders = (): Promise<readonly []> => Promise.resolve([]);
    const runtime = {
      ...{ runServer: run, runWorker: run, runClient: run, runDatabase: run, runUp: run },
      auditFolders,
      recoverServer: (): Promise<never> => Promise.reject(new Error('not asked for')),
    };
    const clb = async (line: string): Promise<unknown> => {
      const program = buildProgram(() => Promise.resolve(runtime));
      await program.parseAsync(['node', 'clb', ...line.split(' ')]);
      return started.at(-1);
    };
    const before = process.exitCode;
    const server: ServerOptions = {
      id: 'server1',
      port: 3002,
      host: '0.0.0.0',
      advertise: { host: 'server1', port: 3002 },
      dataDir: resolve('d'),
      token: null,
      noToken: true,
      allowHosts: ['a', 'b'],
      containerNumber: null,
      databaseUrl: 'http://database:3003',
      slots: 2,
      labels: { zone: 'a' },
      faultInjection: true,
      peers: [{ id: 'server1', host: 'server1', port: 3002 }],
      leaderExecutes: 'never',
      join: [],
      learner: false,
      clientPort: 3001,
      queuedTasksMax: 5_000,
      retention: { ageMs: 3_600_000, tasksMax: 1_000_000 },
    };
    assert.deepEqual(
      await clb(
        'server --id server1 --port 3002 --data d --host 0.0.0.0 --advertise server1:3002 --no-token --allow-host a,b ' +
          '--database http://database:3003 --slots 2 --label zone=a --fault-injection --peers server1=server1:3002 ' +
          '--leader-executes never --queue-limit 5000 --keep-for 1h',
      ),
      server,
    );
    const client: ClientOptions = {
      id: 'client',
      port: 3001,
      host: '127.0.0.1',
      advertise: null,
      dataDir: resolve('d'),
      token: 's3cret',
      noToken: false,
      allowHosts: [],
      containerNumber: 5,
      servers: [{ host: 'h', port: 1 }],
      databaseUrl: null,
    };
    assert.deepEqual(
      await clb('client --port 3001 --data d --servers h:1 --token s3cret --container-number 5'),
      client,
    );
    const open = 'database --port 3003 --data d --host 0.0.0.0 --no-token';
    const guarded = (await clb(`--token s3cret ${open}`)) as ListenOptions;
    assert.deepEqual([guarded.token, guarded.noToken], ['s3cret', false], 'a token that is given counts');
    const up: UpOptions = { dataDir: resolve('data'), portBase: 4000, workers: 1, token: null };
    assert.deepEqual(await clb('up --port-base 4000'), up);
    assert.equal(parsePath('x'), resolve('x'));
    process.exitCode = before;
  });
});
