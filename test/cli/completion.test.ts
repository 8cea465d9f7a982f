/** Completion scripts: each shell is asked itself, where it is there. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { Command } from 'commander';
import { completionScript, SHELLS } from '../../src/cli/completion.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { tempFolder } from './cli.ts';

const program = buildProgram(() => Promise.reject(new Error('no node is to be started')));

/** Completes the words, of which the last one is that at the cursor. */
interface CompletingShell {
  readonly shell: (typeof SHELLS)[number];
  readonly flags: readonly string[];
  /** What prints the candidates, a line each. */
  readonly asking: (words: readonly string[]) => string;
  /** What is printed where file names are to be completed. */
  readonly files: readonly string[];
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');

const COMPLETING: readonly CompletingShell[] = [
  {
    shell: 'bash',
    flags: ['--norc'],
    asking: (words) =>
      `COMP_WORDS=(clb ${quoted(words)})\nCOMP_CWORD=${words.length}\n_clb\nprintf '%s\\n' "\${COMPREPLY[@]}"`,
    files: [],
  },
  {
    shell: 'zsh',
    flags: ['-f'],
    // Its completion system runs at a terminal only; these stand for the parts that the script calls.
    asking: (words) =>
      `compadd() { shift; for each in "$@"; do [[ $each = \${words[CURRENT]}* ]] && print -r -- $each; done; true }\n` +
      `_files() { print FILES }\nwords=(clb ${quoted(words)}); CURRENT=${words.length + 1}\n_clb`,
    files: ['FILES'],
  },
  {
    shell: 'fish',
    flags: ['--no-config'],
    asking: (words) => `complete -C ${quoted([`clb ${words.join(' ')}`])} | string replace -r '\\t.*' ''`,
    files: ['own.file'],
  },
];

/** Asks the shell, in a folder with one file; the `clb` that it finds says what it was asked. */
function completer({ shell, flags, asking }: CompletingShell): (...words: string[]) => readonly string[] {
  const folder = tempFolder();
  writeFileSync(join(folder, 'clb'), '#!/bin/sh\necho "asked:$1"\n', { mode: 0o755 });
  const files = tempFolder();
  writeFileSync(join(files, 'own.file'), '');
  const prelude = shell === 'zsh' ? 'compdef() { true }\n' : '';
  return (...words) => {
    const script = `${prelude}${completionScript(program, shell)}\n${asking(words)}\n`;
    const { stdout, stderr } = spawnSync(shell, [...flags, '-c', script], {
      encoding: 'utf8',
      cwd: files,
      env: { ...process.env, HOME: files, PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    });
    assert.equal(stderr, '');
    return stdout.split('\n').filter((line) => line !== '');
  };
}

function everyCommand(command: Command, path: readonly string[] = []): readonly string[] {
  return command.commands.flatMap((sub) => [
    [...path, sub.name()].join(' '),
    ...everyCommand(sub, [...path, sub.name()]),
  ]);
}

describe('a completion script', () => {
  it('knows every command and every option, for each shell', () => {
    for (const shell of SHELLS) {
      const script = completionScript(program, shell);
      for (const path of everyCommand(program)) assert.ok(script.includes(`"${path}"`), `${shell}: ${path}`);
      for (const option of ['token-file', 'idempotency-key', 'watch'])
        assert.ok(script.includes(option), option);
    }
  });

  it('of fish quotes descriptions', () => {
    const script = completionScript(program, 'fish');
    assert.match(script, /-l watch -d 'keep the list up to date/);
    assert.match(script, /-d 'each server\\'s role/);
  });

  for (const completing of COMPLETING) {
    const { shell, files } = completing;
    const isThere = spawnSync(shell, ['--version']).status === 0;
    if (!isThere) console.error(`SKIPPED: completion in ${shell}, which is not on this machine`);
    const skip = isThere ? false : `no ${shell}`;

    it(`completes commands, options and values in ${shell}`, { skip }, () => {
      const offered = completer(completing);
      assert.deepEqual(offered('qu'), ['queue']);
      assert.deepEqual(offered('raft', 'tr'), ['transfer']);
      assert.deepEqual(offered('--no-color', 'raft', 'lo'), ['log']);
      assert.deepEqual(offered('tasks', '--status', 'ca'), ['canceled']);
      assert.deepEqual(offered('tasks', '-o', 'json'), ['json', 'jsonl']);
      assert.deepEqual(offered('queue', 'p'), ['pause']);
      assert.deepEqual(offered('queue', '--w'), ['--watch']);
      assert.deepEqual(offered('completion', 'z'), ['zsh']);
      assert.ok(offered('submit', '--').includes('--interpreter'));
    });

    it(`asks the cluster for names and ids, and leaves files and commands to ${shell}`, { skip }, () => {
      const offered = completer(completing);
      assert.deepEqual(offered('drain', 'ask'), ['asked:nodes']);
      assert.deepEqual(offered('raft', 'transfer', 'ask'), ['asked:nodes']);
      assert.deepEqual(offered('logs', 'ask'), ['asked:tasks']);
      assert.deepEqual(offered('submit', '-f', ''), files);
      assert.ok(!offered('run', '--', 'qu').includes('queue'));
    });
  }
});
