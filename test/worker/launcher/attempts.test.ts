// Real processes: how attempts are started, what they see, and what is kept of their output.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LIMITS } from '../../../src/api/limits.ts';
import { Harness, poll } from './harness.ts';

const MIB = 1024 * 1024;

describe('an attempt in the launcher', () => {
  let harness: Harness;
  before(async () => {
    harness = new Harness();
    await harness.start();
  });
  after(() => harness.stop());

  it('runs a script by its interpreter with stdin, and reports output and exit code 0', async () => {
    const { outcome, reason, result, runMs } = await harness.run({
      script: 'import sys\nprint(sys.stdin.read().upper())\nprint("oops", file=sys.stderr)',
      stdin: 'grüße',
    });
    assert.equal(outcome, 'succeeded');
    assert.equal(reason, null);
    assert.deepEqual(result, {
      exitCode: 0,
      signal: null,
      stdout: 'GRÜSSE\n',
      stderr: 'oops\n',
      stdoutBytes: 8,
      stderrBytes: 5,
      truncated: false,
    });
    assert.ok(runMs > 0);
  });

  it('fails with the exit code of the program', async () => {
    const { outcome, result } = await harness.run({ command: ['sh', '-c', 'exit 7'] });
    assert.equal(outcome, 'failed');
    assert.equal(result.exitCode, 7);
    assert.equal(result.signal, null);
  });

  it('fails with the signal that ended the program', async () => {
    const { outcome, result } = await harness.run({ command: ['sh', '-c', 'kill -SEGV $$'] });
    assert.equal(outcome, 'failed');
    assert.equal(result.exitCode, null);
    assert.equal(result.signal, 'SIGSEGV');
  });

  it('gives the payload exactly the environment that is promised, and nothing of the node', async () => {
    process.env['CLB_TOKEN'] = 'secret';
    process.env['SOMETHING_OF_THE_NODE'] = 'x';
    const ref = harness.launch({ command: ['env', '-0'], env: { GIVEN: 'yes', CLB_TASK_ID: 'another' } });
    const { result } = await harness.finished(ref);
    const items = result.stdout.split('\0').filter((item) => item !== '');
    const seen = Object.fromEntries(items.map((item) => item.split('=', 2))) as Record<string, string>;
    assert.deepEqual(Object.keys(seen).sort(), [
      'CLB_ATTEMPT',
      'CLB_TASK_ID',
      'GIVEN',
      'HOME',
      'LANG',
      'PATH',
      'TMPDIR',
    ]);
    assert.equal(seen['CLB_TASK_ID'], ref.task, 'the marker is not the payload’s to choose');
    assert.equal(seen['CLB_ATTEMPT'], '1');
    assert.equal(seen['GIVEN'], 'yes');
  });

  it('runs in a fresh, empty scratch folder that is gone afterwards', async () => {
    const script =
      'pwd; ls; cd "$TMPDIR" && pwd; echo x > "$HOME/file"; mkdir "$HOME/a"; echo y > "$HOME/a/b"';
    const { result } = await harness.run({ command: ['sh', '-c', script] });
    const [scratch = '', tmp = '', ...rest] = result.stdout.trim().split('\n');
    assert.deepEqual(rest, [], 'nothing was in it');
    assert.ok(tmp.startsWith(scratch));
    await poll(() => statSync(scratch, { throwIfNoEntry: false }) === undefined, 'the removal');
    const again = await harness.run({ command: ['sh', '-c', 'ls -A; ls -A .tmp'] });
    assert.equal(again.result.stdout, '.tmp\n');
  });

  it('runs in the folder that the task names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'clb-cwd-'));
    const { result } = await harness.run({ command: ['sh', '-c', 'pwd > here'], cwd: folder });
    assert.equal(result.exitCode, 0);
    assert.equal(readFileSync(join(folder, 'here'), 'utf8').trim(), folder);
    rmSync(folder, { recursive: true });
  });

  it('runs at nice 10 and as the leader of its own session', async () => {
    // The priority is set right after the fork; a program may be a little faster.
    const script = 'sleep 0.2; nice; echo $$; cut -d" " -f5,6 /proc/$$/stat';
    const { result } = await harness.run({ command: ['sh', '-c', script] });
    const [niceness, pid, ids] = result.stdout.trim().split('\n');
    assert.equal(niceness, '10');
    assert.equal(ids, `${pid} ${pid}`);
  });

  it('gives the payload pipes that /dev/stdout and /dev/stderr can be opened on', async () => {
    const script = 'echo out > /dev/stdout; echo err > /dev/stderr';
    const { result } = await harness.run({ command: ['sh', '-c', script] });
    assert.equal(result.stdout, 'out\n');
    assert.equal(result.stderr, 'err\n');
  });

  it('says which interpreter is missing, and where', async () => {
    const { outcome, reason, result } = await harness.run({ script: 'puts 1', interpreter: 'no-such-ruby' });
    assert.equal(outcome, 'failed');
    assert.equal(
      reason,
      'interpreter no-such-ruby not found on server2; install it there or give another one',
    );
    assert.equal(result.exitCode, null);
  });

  it('says which program is missing, not executable, or too long to start', async () => {
    const missing = await harness.run({ command: ['no-such-program'] });
    assert.match(missing.reason ?? '', /^program no-such-program not found on server2/);
    const folder = await harness.run({ command: ['/tmp'] });
    assert.match(folder.reason ?? '', /\/tmp on server2 is not executable/);
    const long = await harness.run({ command: ['true', 'x'.repeat(300_000)] });
    assert.match(long.reason ?? '', /too long for server2/);
  });

  it('says which folder (cwd) is missing or no folder', async () => {
    const missing = await harness.run({ command: ['true'], cwd: '/no/such/folder' });
    assert.equal(missing.reason, 'folder /no/such/folder (cwd) does not exist on server2');
    const file = await harness.run({ command: ['true'], cwd: '/etc/passwd' });
    assert.equal(file.reason, '/etc/passwd (cwd) is not a folder on server2');
  });

  it('counts 100 MB of output, keeps head and tail, and stays small', async () => {
    const script = [
      'import sys',
      'sys.stdout.write("HEAD")',
      'for i in range(100): sys.stdout.write("x" * 1000000)',
      'sys.stdout.write("TAIL")',
    ].join('\n');
    const ref = harness.launch({ script });
    const { outcome, result } = await harness.finished(ref);
    assert.equal(outcome, 'succeeded');
    assert.equal(result.stdoutBytes, 100_000_008);
    assert.equal(result.truncated, true);
    assert.equal(result.stdout.length, LIMITS.resultStreamBytesMax);
    assert.match(result.stdout, /^HEADx+TAIL$/);
    const file = await harness.executor.readOutput(ref, {
      stream: 'stdout',
      offset: LIMITS.nodeStreamBytesMax - 10,
      maxBytes: 1_000,
      waitMs: 0,
    });
    assert.deepEqual([file.data.byteLength, file.end], [10, true], 'the file ends at its cap');
    const status = readFileSync(`/proc/${harness.executor.pids.launcher}/status`, 'utf8');
    const rssKib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    // The loader for TypeScript, which only tests have, is the largest part of it.
    assert.ok(rssKib < 150 * 1024, `the launcher uses ${rssKib} KiB`);
  });

  it('serves output while it grows, and to the end after it', async () => {
    const script = 'echo first; while [ ! -e go ]; do sleep 0.05; done; printf "\\377last"';
    const ref = harness.launch({ command: ['sh', '-c', script] });
    const read = (offset: number, waitMs: number) =>
      harness.executor.readOutput(ref, { stream: 'stdout', offset, maxBytes: 4 * MIB, waitMs });
    const first = await read(0, 20_000);
    assert.equal(Buffer.from(first.data).toString(), 'first\n');
    assert.equal(first.end, false);
    const none = await read(6, 100);
    assert.deepEqual([none.data.byteLength, none.nextOffset, none.end], [0, 6, false]);
    const later = read(6, 20_000);
    const folder = join(harness.dataDir, 'launcher', 'attempts', `${ref.task}.${ref.token}.1`);
    writeFileSync(join(folder, 'scratch', 'go'), '');
    assert.deepEqual([...(await later).data], [0xff, ...Buffer.from('last')], 'bytes come as they are');
    await harness.finished(ref);
    const rest = await read(11, 0);
    assert.deepEqual([rest.data.byteLength, rest.nextOffset, rest.end], [0, 11, true]);
    await assert.rejects(
      harness.executor.readOutput(
        { task: 'unknown', token: 1 },
        { stream: 'stdout', offset: 0, maxBytes: 1, waitMs: 0 },
      ),
      { code: 'OUTPUT_GONE' },
    );
  });
});
