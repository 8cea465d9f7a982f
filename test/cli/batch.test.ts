/** submit --batch and wait of many, as processes; the lines and the bar by themselves. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { batchLines } from '../../src/cli/batch-lines.ts';
import { Progress } from '../../src/cli/progress.ts';
import { until } from '../sdk/harness.ts';
import { fakeApi, runAtOnce, tempFolder } from './cli.ts';

const commands = (text: string, words: readonly string[] = []): readonly unknown[] =>
  batchLines(text, { source: 'f', defaults: {}, words }).map(({ request }) => request.command);

describe('the lines of a batch', () => {
  it('are command lines for a shell, empty ones and remarks left out', () => {
    assert.deepEqual(commands('echo a | wc -c\r\n\n# a remark\nls'), [
      ['sh', '-c', 'echo a | wc -c'],
      ['sh', '-c', 'ls'],
    ]);
  });

  it('are arguments where there is a command: in place of {}, else last', () => {
    assert.deepEqual(commands('a b\n#c\n', ['convert', '{}', '{}.png']), [
      ['convert', 'a b', 'a b.png'],
      ['convert', '#c', '#c.png'],
    ]);
    assert.deepEqual(commands('a', ['ls', '-l']), [['ls', '-l', 'a']]);
  });

  it('are tasks where they begin with {, with the flags as their defaults', () => {
    const [line] = batchLines('\n{"script":"print(1)","priority":80,"labels":{"a":"1"}}', {
      source: 'f',
      defaults: { priority: 10, timeoutMs: 5, labels: { a: '0', b: '2' } },
      words: [],
    });
    assert.deepEqual(line, {
      number: 2,
      request: { priority: 80, timeoutMs: 5, labels: { a: '1', b: '2' }, script: 'print(1)' },
    });
  });

  it('that make no sense are named by file and number', () => {
    assert.throws(
      () => commands('ls\n{"script":'),
      /^CliError: f:2: begins with \{ but is no JSON.*\n.*submitted/,
    );
    assert.throws(() => commands('\n \n'), /f has no lines/);
  });
});

describe('the bar', () => {
  it('fits the terminal, tells what failed and what is left, and goes away for a line', () => {
    let drawn = '';
    let nowMs = 0;
    const progress = new Progress({
      what: 'accepted',
      total: 4_000,
      quiet: false,
      nowMs: () => nowMs,
      output: { isTTY: true, columns: 200, write: (text) => (drawn += text) },
    });
    for (let step = 1; step <= 2_000; step += 1) {
      nowMs = step;
      progress.step(step === 7);
    }
    assert.match(progress.bar(), /\[#{12}\.{12}\] 50 % {2}2,000\/4,000 accepted {2}1 failed {2}2\.0s left/);
    assert.ok(drawn.split('\r').length < 30, 'it is not redrawn for every step');
    drawn = '';
    progress.hide();
    assert.equal(drawn, '\r\u001b[K');
    assert.equal(progress.summary(), '2,000 of 4,000 accepted, 1 failed, in 2.0s');
  });
});

describe('submit --batch', () => {
  it('prints the ids in the order of the lines, and submits 10,000 lines in few requests', async () => {
    const { cluster, clb } = await fakeApi();
    const file = join(tempFolder(), 'commands.txt');
    writeFileSync(file, Array.from({ length: 10_000 }, (_, i) => `echo ${i}`).join('\n'));
    const { code, stdout, stderr } = await clb('submit', '--batch', file, '--label', 'run=1');
    assert.equal(code, 0);
    const ids = stdout.trim().split('\n');
    assert.equal(ids.length, 10_000);
    assert.deepEqual(
      [ids[0], ids[4_567], ids[9_999]].map((id) => cluster.task(id ?? '').command?.[2]),
      ['echo 0', 'echo 4567', 'echo 9999'],
    );
    assert.deepEqual(cluster.task(ids[5] ?? '').labels, { run: '1' });
    assert.ok(cluster.requests('POST', /tasks/) < 100, 'joined into batches');
    assert.match(stderr, /10,000 of 10,000 accepted, in/);
    assert.doesNotMatch(stderr, /Warning/);
  });

  it('repeated with its key makes no second task', async () => {
    const { cluster, start } = await fakeApi();
    const args = ['-q', 'submit', '--batch', '-', '--idempotency-key', 'sweep'];
    const first = await start(args, { stdin: 'echo 1\necho 2\n' }).ended;
    const again = await start(args, { stdin: 'echo 1\necho 2\necho 3\n' }).ended;
    assert.equal(cluster.tasks().length, 3);
    assert.deepEqual(again.stdout.split('\n').slice(0, 2), first.stdout.split('\n').slice(0, 2));
  });

  it('names refused lines by file and number, submits the others and exits with 2', async () => {
    const { cluster, start } = await fakeApi();
    const stdin = '{"script":"print(1)"}\n{"name":"neither script nor command"}\nls\n';
    const { code, stdout, stderr } = await start(['submit', '--batch', '-'], { stdin }).ended;
    assert.equal(code, 2);
    assert.match(stderr, /stdin:2: /);
    assert.match(stderr, /repeat with --idempotency-key/);
    assert.equal(stdout.trim().split('\n').length, 2);
    assert.equal(cluster.tasks().length, 2);
  });

  it('with --wait tells who failed and exits with the first code that is not 0', async () => {
    const { cluster, start } = await fakeApi();
    runAtOnce(cluster, (id) => {
      const last = cluster.task(id).command?.[2] ?? '';
      if (last === 'bad') cluster.finish(id, 'failed', { exitCode: 7 });
      else cluster.finish(id);
    });
    const { code, stderr } = await start(['submit', '--batch', '-', '--wait'], { stdin: 'good\nbad\ngood\n' })
      .ended;
    assert.equal(code, 7, stderr);
    assert.match(stderr, /failed \(exit code 7\)/);
    assert.match(stderr, /3 of 3 final, 1 failed/);
  });

  it('says how to go on when no server is left', async () => {
    const { cluster, start } = await fakeApi();
    cluster.server(0).misbehave = () => ({ kind: 'error', code: 'NO_QUORUM' });
    const { code, stderr } = await start(['submit', '--batch', '-', '--idempotency-key', 'k'], {
      stdin: 'ls\n',
    }).ended;
    assert.equal(code, 4);
    assert.match(stderr, /0 of 1 lines are accepted.*--idempotency-key k/);
  });

  it('refuses flags that say what its lines say', async () => {
    const { start } = await fakeApi();
    const { code, stderr } = await start(['submit', '--batch', '-', '-f', 'x.py'], { stdin: 'ls\n' }).ended;
    assert.equal(code, 2);
    assert.match(stderr, /-f does not go with --batch/);
  });
});

describe('wait of many', () => {
  it('takes the ids from stdin and tells how many are final', async () => {
    const { cluster, start } = await fakeApi();
    const ids = Array.from({ length: 30 }, () => cluster.submitted({ command: ['true'] }).id);
    const waiting = start(['wait', '-'], { stdin: ids.join('\n') });
    await until('it asks', () => cluster.requests('GET', /tasks/) > 0, 25_000);
    for (const id of ids) {
      cluster.startTask(id);
      cluster.finish(id);
    }
    const { code, stdout, stderr } = await waiting.ended;
    assert.deepEqual([code, stdout.trim().split('\n').length], [0, 30]);
    assert.match(stderr, /30 of 30 final, in/);
  });
});
