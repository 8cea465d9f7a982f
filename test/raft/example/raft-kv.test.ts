/**
 * The example of examples/raft-kv as its reader would use it: three processes, one killed by kill -9, and every write that was
 * answered is read back. It uses nothing but src/raft/index.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { until } from '../node/test-cluster.ts';

const EXAMPLE = 'examples/raft-kv/server.ts';
const START_MS_MAX = 60_000;

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

/** The status, and 0 for a server that is not there. */
async function put(port: number, key: string, value: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/${key}`, { method: 'PUT', body: value }).catch(
    () => null,
  );
  await answer?.text();
  return answer?.status ?? 0;
}

async function get(port: number, key: string): Promise<string | null> {
  const answer = await fetch(`http://127.0.0.1:${port}/${key}`).catch(() => null);
  return answer?.status === 200 ? (await answer.text()).trimEnd() : null;
}

describe('the example of a replicated key-value store', () => {
  it('is short, and uses only what src/raft/index.ts exports', async () => {
    const source = await readFile(EXAMPLE, 'utf8');
    const code = source.split('\n').filter((line) => !/^\s*(\/\/|\/?\*|$)/.test(line));
    assert.ok(code.length < 100, `${code.length} lines`);
    const imports = [...source.matchAll(/from '([^']+)'/g)].map(([, from]) => from!);
    assert.deepEqual(
      imports.filter((from) => !from.startsWith('node:')),
      ['../../src/raft/index.ts', '../../src/raft/index.ts'],
    );
  });

  it('reads every answered write, on every server, after the leader was killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'clb-raft-kv-'));
    const ports = await freePorts(3);
    const members = ports.map((port, at) => `n${at + 1}=127.0.0.1:${port}`);
    const processes: ChildProcess[] = [];
    const start = (at: number): void => {
      const args = ['--import', 'tsx', EXAMPLE, `n${at + 1}`, join(folder, `n${at + 1}`), ...members];
      processes[at] = spawn(process.execPath, args, { stdio: 'ignore' });
    };
    try {
      for (const at of [0, 1, 2]) start(at);
      const written: string[] = [];
      const write = async (key: string, port: number): Promise<void> => {
        await until(
          `${key} to be written`,
          async () => (await put(port, key, `value of ${key}`)) === 200,
          START_MS_MAX,
        );
        written.push(key);
      };
      for (let n = 0; n < 10; n++) await write(`before-${n}`, ports[n % 3]!);

      // Whoever answers a write without sending it elsewhere leads.
      let leader = -1;
      for (const [at, port] of ports.entries()) {
        const answer = await fetch(`http://127.0.0.1:${port}/probe`, {
          method: 'PUT',
          body: 'x',
          redirect: 'manual',
        });
        if (answer.status === 200) leader = at;
        await answer.arrayBuffer();
      }
      assert.ok(leader >= 0, 'somebody leads');
      processes[leader]!.kill('SIGKILL');
      await once(processes[leader]!, 'exit');
      const rest = ports.filter((_, at) => at !== leader);
      for (let n = 0; n < 10; n++) await write(`after-${n}`, rest[n % 2]!);
      for (const port of rest) {
        for (const key of written)
          await until(`${key} to be read`, async () => (await get(port, key)) === `value of ${key}`);
      }
      start(leader);
      await until(
        'the killed one to be back',
        async () => (await get(ports[leader]!, 'after-9')) !== null,
        START_MS_MAX,
      );
      for (const key of written) assert.equal(await get(ports[leader]!, key), `value of ${key}`);
      assert.equal(await get(ports[0]!, 'never-written'), null);
    } finally {
      for (const child of processes) {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill('SIGKILL');
          await once(child, 'exit');
        }
      }
      await rm(folder, { recursive: true, force: true });
    }
  });
});
