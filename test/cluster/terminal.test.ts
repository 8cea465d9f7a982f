/**
 * Goal: the command line as a person meets it, in a real terminal (tmux): the live screen of `clb up` through a crash and
 * a resize, exit codes, Ctrl-C that detaches, --watch, the bar of a batch, completion; and the same in pipes. Needs tmux;
 * says so loudly where there is none, and counts as skipped.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CLB, freePortBase, killAndRemove, processesMatching } from './processes.ts';
import { HAS_TMUX, Tmux } from './tmux.ts';

if (!HAS_TMUX) console.error('SKIPPED: the terminal test needs tmux (apt-get install tmux)');

const WIDE = { columns: 110, rows: 34 };
const ESCAPE = '\u001b[';

describe('in a terminal', { skip: HAS_TMUX ? false : 'no tmux', timeout: 400_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'clb-terminal-'));
  const data = join(folder, 'data');
  let tmux: Tmux;
  let at: (offset: number) => number;

  before(async () => {
    const base = await freePortBase(6);
    at = (offset) => base + offset;
    symlinkSync(CLB, join(folder, 'clb'));
    tmux = new Tmux('terminal', {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      // A shell that is ended would write its history into the folder while it is removed.
      HISTFILE: '/dev/null',
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      CLB_SERVERS: [2, 4, 5].map((offset) => `127.0.0.1:${at(offset)}`).join(','),
    });
    tmux.open(
      'up',
      `bash -c 'trap : INT; clb up --port-base ${base} --data ${data}; echo ended with $?; cat'`,
      WIDE,
    );
    tmux.open('shell', 'bash --norc --noprofile', WIDE);
    tmux.type('shell', `cd ${folder}; PS1='$ '`, 'Enter');
    await tmux.shows('up', /CLB is running: server\d is the master, term \d+$/m, 120_000);
  });
  after(async () => {
    tmux.end();
    await killAndRemove(folder);
  });

  /** Runs a line in the shell and waits for the exit code it ends with; gives back what it printed. */
  const shell = async (line: string, code: number): Promise<string> => {
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', `${line}; echo "code:$?"`, 'Enter');
    const screen = await tmux.shows('shell', /^code:\d+$/m);
    assert.match(screen, new RegExp(`^code:${code}$`, 'm'), screen);
    return screen;
  };

  it('clb up shows every node with its address, and the lines as they come', async () => {
    const screen = await tmux.shows(
      'up',
      /server1 +ready(.*\n)+server2 +ready(.*\n)+server3 +ready.*\nworker1 +ready/,
    );
    for (const node of ['client', 'server1', 'database', 'server2', 'server3', 'worker1'])
      assert.match(screen, new RegExp(`^${node} +ready .*http://127\\.0\\.0\\.1:\\d+/`, 'm'));
    assert.match(screen, /\d,Is master container/);
    assert.match(screen, /Ctrl-C stops everything, nothing is lost/);
  });

  it('run passes the code of the task on, and streams its output', async () => {
    assert.match(await shell("clb run -- sh -c 'echo out; exit 7'", 7), /^out$/m);
    await tmux.shows('up', /Tasks .*1 failed/);
  });

  it('Ctrl-C on run detaches and says how to come back; the task goes on', async () => {
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', 'clb run -- sh -c "echo begun; sleep 300"; echo "code:$?"', 'Enter');
    await tmux.shows('shell', /^begun$/m);
    tmux.type('shell', '', 'C-c');
    const screen = await tmux.shows('shell', /^code:130$/m);
    assert.match(screen, /detached, the task goes on\. Come back with: clb wait/);
    assert.match(await shell('clb tasks --status running', 0), /running/);
    await shell('clb tasks -q --status running | xargs clb cancel', 0);
  });

  it('--watch keeps a list up to date until Ctrl-C', async () => {
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', 'clb tasks --watch; echo "code:$?"', 'Enter');
    await tmux.shows('shell', /^ID +NAME +STATUS/m);
    tmux.open('other', 'clb submit --name seen-by-watch -- true', WIDE);
    await tmux.shows('shell', /seen-by-watch +succeeded/);
    assert.ok(tmux.screen('shell', true).includes(ESCAPE), 'in color');
    tmux.type('shell', '', 'C-c');
    await tmux.shows('shell', /^code:130$/m);
  });

  it('--watch of nodes shows a drain as it happens', async () => {
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', 'clb nodes --watch; echo "code:$?"', 'Enter');
    await tmux.shows('shell', /^worker1 .*ready/m);
    tmux.open('drain', 'clb drain worker1', WIDE);
    await tmux.shows('shell', /^worker1 .*drain/m);
    tmux.open('back', 'clb drain worker1 --off', WIDE);
    await tmux.shows('shell', /^worker1 .*ready/m);
    tmux.type('shell', '', 'C-c');
    await tmux.shows('shell', /^code:130$/m);
  });

  it('a batch of 10,000 lines and a wait for all of them show bars', async () => {
    const many = join(folder, 'many.txt');
    writeFileSync(many, Array.from({ length: 10_000 }, (_, i) => `echo ${i}`).join('\n'));
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', `clb submit --delay 1h --batch ${many} > ids.txt; echo "code:$?"`, 'Enter');
    await tmux.shows('shell', /\[#*\.+\] +\d+ % {2}[\d,]+\/10,000 accepted/);
    const screen = await tmux.shows('shell', /^code:0$/m, 120_000);
    assert.match(screen, /10,000 of 10,000 accepted, in /);
    assert.match(await shell('sort -u ids.txt | wc -l', 0), /^10000$/m);
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', 'clb wait - < ids.txt; echo "code:$?"', 'Enter');
    await tmux.shows('shell', /\[\.+\] +0 % {2}0\/10,000 final/);
    tmux.type('shell', '', 'C-c');
    const detached = await tmux.shows('shell', /^code:130$/m);
    assert.match(detached, /detached, the tasks go on/);
  });

  it('a batch shows a bar and ends with the first code that is not 0', async () => {
    const lines = Array.from({ length: 400 }, (_, i) => (i === 200 ? 'exit 9' : 'true'));
    writeFileSync(join(folder, 'commands.txt'), lines.join('\n'));
    tmux.type('shell', 'clear', 'Enter');
    tmux.type(
      'shell',
      `clb submit -o jsonl --batch ${folder}/commands.txt --wait > out.jsonl; echo "code:$?"`,
      'Enter',
    );
    await tmux.shows('shell', /\[#*\.+\] \d+ % {2}\d+\/400 final/);
    const screen = await tmux.shows('shell', /^code:9$/m, 120_000);
    assert.match(screen, /400 of 400 final, 1 failed, in /);
    assert.doesNotMatch(screen, /\[#+/, 'the bar is gone');
  });

  it('Tab completes commands, options and names', async () => {
    tmux.type('shell', 'clear', 'Enter');
    tmux.type('shell', 'source <(clb completion bash)', 'Enter');
    tmux.type('shell', 'clb que', 'Tab');
    await tmux.shows('shell', /clb queue\s*$/m);
    tmux.type('shell', '', 'C-u');
    tmux.type('shell', 'clb submit --idem', 'Tab');
    await tmux.shows('shell', /clb submit --idempotency-key/);
    tmux.type('shell', '', 'C-u');
    tmux.type('shell', 'clb drain work', 'Tab');
    await tmux.shows('shell', /clb drain worker1/);
    tmux.type('shell', '', 'C-u');
  });

  it('in a pipe there are no colors, and a reader that leaves is no error', async () => {
    const screen = await shell('clb tasks | head -1 | od -c | head -3; echo "${PIPESTATUS[0]}"', 0);
    assert.doesNotMatch(screen, /033/);
    await shell('clb tasks --limit 1000 -o json | head -1 > one; (exit ${PIPESTATUS[0]})', 0);
    await shell('clb tasks --watch -o jsonl | head -1 > one; (exit ${PIPESTATUS[0]})', 0);
    tmux.type('shell', 'clear; NO_COLOR=1 clb nodes; echo "code:$?"', 'Enter');
    await tmux.shows('shell', /^code:0$/m);
    assert.ok(!tmux.screen('shell', true).includes(`${ESCAPE}32m`), 'NO_COLOR');
  });

  it('exit codes tell usage, not found and no cluster apart, with what to do next', async () => {
    assert.match(await shell('clb tasks --limit many', 2), /A whole number from 1 to/);
    assert.match(await shell('clb task 0000000000', 3), /clb tasks/);
    const nobody = await shell('clb --server 127.0.0.1:9 tasks', 4);
    assert.match(nobody, /Start a cluster with `clb up`, or name its servers with --server/);
  });

  it('clb up tells of a crash on its screen, fits a smaller one, and gives the terminal back at Ctrl-C', async () => {
    const pids = processesMatching(
      (line) => line.includes(` worker `) && line.includes(join(data, 'worker1')),
    );
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await tmux.shows('up', /worker1 ended by SIGKILL; starting it again in 1 s/);
    await tmux.shows('up', /worker1 +ready/);
    tmux.resize('up', { columns: 70, rows: 16 });
    const small = await tmux.shows('up', /^Open http.*$/m);
    assert.match(small, /^CLB is running/m);
    assert.ok(small.trimEnd().split('\n').length <= 16);
    tmux.type('up', '', 'C-c');
    const end = await tmux.shows('up', /^ended with 0$/m);
    assert.match(end, /CLB is stopped; what it knows is in/);
    assert.doesNotMatch(end, /NODE +STATUS/, 'the first screen is back');
    assert.deepEqual(
      processesMatching((line) => line.includes(join(data, 'server1'))),
      [],
      'nothing is left running',
    );
  });
});
