import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { ProcTable, PsTable } from '../../../src/worker/launcher/process-table.ts';
import { ProcessTree } from '../../../src/worker/launcher/process-tree.ts';
import { isRunning, isStopped, poll } from './harness.ts';

/** A parent with a child in another session, whose command is made to confuse a parser of /proc/PID/stat. */
const PROGRAM = [
  'import os, time',
  'open("/proc/self/comm", "w").write("a) Z (b")',
  'if os.fork() == 0:',
  '    os.setsid()',
  '    print(os.getpid(), flush=True)',
  'time.sleep(1000)',
].join('\n');

async function family() {
  const env = { ...process.env, CLB_TASK_ID: `table-${process.pid}`, CLB_ATTEMPT: '3' };
  const parent = spawn('python3', ['-c', PROGRAM], {
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(parent.stdout, 'data')) as [Buffer];
  const root = { pid: parent.pid!, task: env.CLB_TASK_ID, number: 3, group: null };
  return { parent, root, child: Number(text.toString()) };
}

describe('the process table', () => {
  for (const [name, table] of [
    ['of /proc', new ProcTable()],
    ['of ps', new PsTable()],
  ] as const) {
    it(`${name} tells parents, groups, states and memory`, async () => {
      const { parent, root, child } = await family();
      const entries = new Map(table.scan().map((entry) => [entry.pid, entry]));
      const main = entries.get(root.pid);
      const second = entries.get(child);
      assert.equal(main?.pgid, root.pid);
      assert.equal(main.ppid, process.pid);
      assert.ok(main.rssBytes > 1024 * 1024 && main.rssBytes < 1024 * 1024 * 1024);
      assert.equal(second?.ppid, root.pid);
      assert.equal(second.pgid, child);
      process.kill(child, 'SIGSTOP');
      await poll(() => table.read(child)?.state === 'T', 'the stop');
      assert.ok(entries.has(process.pid));

      const tree = new ProcessTree(table);
      const members = () => tree.members([root])[0]!.map(({ pid }) => pid);
      assert.deepEqual(members().sort(), [root.pid, child].sort());
      tree.freeze([root]);
      await poll(() => isStopped(root.pid) && isStopped(child), 'the freeze');
      tree.signal([root], 'SIGCONT');
      await poll(() => !isStopped(root.pid) && !isStopped(child), 'the continuation');
      const exited = once(parent, 'exit');
      await poll(() => tree.kill([root]).length === 0, 'the end');
      await exited;
      assert.equal(isRunning(child), false);
      assert.equal(table.read(root.pid), null);
    });
  }

  it('of /proc reads the marker of an attempt from the environment', async () => {
    const table = new ProcTable();
    const { parent, root, child } = await family();
    const entries = table.scan();
    for (const pid of [root.pid, child]) {
      assert.equal(entries.find((entry) => entry.pid === pid)?.marker, `${root.task} 3`);
    }
    assert.equal(entries.find(({ pid }) => pid === process.pid)?.marker, null);
    assert.ok((table.lastPid() ?? 0) > 0);
    const other = new ProcessTree(table).members([
      { pid: 2 ** 31 - 1, task: root.task, number: 4, group: null },
    ]);
    assert.deepEqual(other, [[]], 'another number is another attempt');
    const exited = once(parent, 'exit');
    process.kill(child, 'SIGKILL');
    parent.kill('SIGKILL');
    await exited;
  });
});
