/**
 * `clb verify` on real servers, and on the folders they leave: it holds after a killed master, and finds what is planted into copies
 * of the data: an entry rewritten with matching checksums, a finished task's result changed in the archive, a flipped byte.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Entry, NodeId } from '../../src/raft/core/types.ts';
import { LevelKv, SUPERBLOCK_SUFFIX } from '../../src/raft/storage/level-kv.ts';
import { KvRaftStorage } from '../../src/raft/storage/raft-storage.ts';
import { prefixRange } from '../../src/raft/storage/records.ts';
import { sealBytes, unseal } from '../../src/raft/storage/sealed-record.ts';
import { storedIdentity } from '../../src/raft/storage/stored-identity.ts';
import { Clb } from '../../src/sdk/clb.ts';
import { CLB, eventually, ProcessCluster } from './processes.ts';

/** More than a segment of the archive (256), so that finished tasks lie in the store. */
const TASKS = 320;

interface Report {
  readonly ok: boolean;
  readonly servers: readonly { readonly name: string; readonly tasks: number }[];
  readonly unreachable: readonly object[];
  readonly checks: readonly {
    readonly name: string;
    readonly checked: number;
    readonly violations: number;
  }[];
  readonly violations: readonly {
    readonly check: string;
    readonly task: string | null;
    readonly message: string;
  }[];
}

function clbVerify(...args: readonly string[]): { readonly code: number | null; readonly report: Report } {
  const run = spawnSync(process.execPath, [CLB, 'verify', '-o', 'json', ...args], { encoding: 'utf8' });
  assert.notEqual(run.stdout, '', run.stderr);
  return { code: run.status, report: JSON.parse(run.stdout) as Report };
}

describe('clb verify', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  const folders = ['server1', 'server2', 'server3'];
  before(async () => {
    cluster = await ProcessCluster.start({ only: [...folders, 'worker1'] });
  });
  after(async () => cluster.destroy());

  /** Fresh copies of what the stopped servers left. */
  const copies = (title: string): string[] =>
    folders.map((id) => {
      const copy = join(cluster.folder, title, id);
      for (const name of ['raft', `raft${SUPERBLOCK_SUFFIX}`]) {
        cpSync(join(cluster.folder, id, name), join(copy, name), { recursive: true });
      }
      return copy;
    });

  it('holds on running servers, after a master was killed in the middle of it', async () => {
    const clb = new Clb({ servers: cluster.servers });
    try {
      const request = (n: number) => ({
        command: n % 10 === 0 ? ['false'] : ['true'],
        maxAttempts: n % 20 === 0 ? 2 : 1,
        backoffMs: 10,
      });
      const submits = Array.from({ length: TASKS }, (_, n) =>
        clb.submit(request(n), { idempotencyKey: `verify-${n}` }),
      );
      const tasks = await Promise.all(submits);
      const master = await cluster.master();
      await cluster.signal(master, 'SIGKILL');
      await Promise.all(tasks.map((task) => clb.outcome(task)));
      cluster.startNode(master);
      await cluster.whenReady();
      await eventually('every server has everything', async () => {
        const views = await Promise.all(cluster.serverIds.map((id) => cluster.raft(id)));
        const committed = Math.max(...views.map(({ commitIndex }) => commitIndex));
        return views.every(({ appliedIndex }) => appliedIndex === committed);
      });
    } finally {
      clb.close();
    }
    const { code, report } = clbVerify('--server', cluster.servers.join(','));
    assert.deepEqual(report.violations, []);
    assert.deepEqual(report.unreachable, []);
    assert.equal(code, 0);
    assert.deepEqual(
      report.servers.map(({ tasks }) => tasks),
      [TASKS, TASKS, TASKS],
    );
    for (const { name, checked } of report.checks) assert.ok(checked > 0, `${name} has examined something`);
  });

  it('holds on the folders that stopped servers leave', async () => {
    for (const node of cluster.nodes) await cluster.signal(node.id, 'SIGTERM');
    const { code, report } = clbVerify('--data', copies('as-left').join(','));
    assert.deepEqual(report.violations, []);
    assert.equal(code, 0);
    assert.equal(report.servers.length, 3);
  });

  it('finds an entry that was rewritten on one server, checksums and all', async () => {
    const planted = copies('entry');
    const index = await rewriteResult(planted[1]!, 'server2' as NodeId);
    const { code, report } = clbVerify('--data', planted.join(','));
    assert.equal(code, 1);
    const found = report.violations.find(({ check }) => check === 'log');
    assert.match(found?.message ?? '', new RegExp(`entry ${index} is of term`));
  });

  it("finds a finished task's result that was changed in the archive", async () => {
    const planted = copies('archive');
    const task = await changeArchive(planted[2]!);
    const { code, report } = clbVerify('--data', planted.join(','));
    assert.equal(code, 1);
    const found = report.violations.filter((violation) => violation.task === task).map(({ check }) => check);
    assert.ok(found.includes('final'), JSON.stringify(report.violations, null, 1));
    assert.ok(found.includes('tasks'));
  });

  it('finds a flipped byte', () => {
    const planted = copies('byte');
    flipByte(join(planted[0]!, 'raft'));
    const { code, report } = clbVerify('--data', planted.join(','));
    assert.equal(code, 1);
    assert.ok(
      report.violations.some(
        ({ check, message }) => check === 'disk' && /damaged|checksum|corrupt/i.test(message),
      ),
      JSON.stringify(report.violations),
    );
  });

  it('says which server it could not read, and exits with 4 where there is none', () => {
    const run = spawnSync(process.execPath, [CLB, 'verify', '--server', '127.0.0.1:1'], { encoding: 'utf8' });
    assert.equal(run.status, 4);
    assert.match(run.stderr, /127\.0\.0\.1:1 was not read/);
  });
});

async function openStorage(folder: string) {
  const kv = await LevelKv.open(join(folder, 'raft'));
  const identity = storedIdentity(kv);
  assert.ok(identity);
  return { kv, ...(await KvRaftStorage.open(kv, { identity, bootstrap: { voters: [], learners: [] } })) };
}

/** Turns the first result "exit code 0" of the log into another one. @returns the index of its entry */
async function rewriteResult(folder: string, node: NodeId): Promise<number> {
  const { storage, recovered } = await openStorage(folder);
  try {
    const wanted = '"outcome":"succeeded"';
    const at = recovered.entries.findIndex(
      (entry) => entry.kind === 'command' && Buffer.from(entry.payload).includes(wanted),
    );
    const first = recovered.entries[at];
    assert.ok(first?.kind === 'command', `${node} has a result in its log`);
    const text = Buffer.from(first.payload).toString().replace(wanted, '"outcome":"timed_out"');
    const rewritten: Entry = { ...first, payload: Buffer.from(text) };
    const append = [rewritten, ...recovered.entries.slice(at + 1)];
    await storage.write(storage.composeLog({ hardState: null, truncateFrom: first.index, append }));
    return first.index;
  } finally {
    await storage.close();
  }
}

/** Changes what a finished task printed, in its stored record. @returns its id */
async function changeArchive(folder: string): Promise<string> {
  const { storage, kv } = await openStorage(folder);
  try {
    for await (const [key, record] of kv.iterate(prefixRange('sm!'))) {
      if (!key.includes('!a!')) continue;
      const text = Buffer.from(unseal(key, record)).toString();
      const changed = text.replace('"stdout":""', '"stdout":"x"');
      if (changed === text) continue;
      await kv.batch([{ kind: 'put', key, value: sealBytes(key, Buffer.from(changed)) }], { sync: true });
      const line = changed.split('\n').find((candidate) => candidate.includes('"stdout":"x"'));
      return (JSON.parse(line ?? '{}') as { readonly id: string }).id;
    }
  } finally {
    await storage.close();
  }
  throw new Error('there is no stored segment');
}

/** In the middle of the largest write-ahead log or table. */
function flipByte(folder: string): void {
  const files = readdirSync(folder).filter((name) => /\.(log|ldb)$/.test(name));
  const [largest] = files
    .map((name) => ({ path: join(folder, name), bytes: readFileSync(join(folder, name)) }))
    .sort((a, b) => b.bytes.length - a.bytes.length);
  assert.ok(largest);
  const at = Math.floor(largest.bytes.length / 2);
  largest.bytes[at]! ^= 0xff;
  writeFileSync(largest.path, largest.bytes);
}
