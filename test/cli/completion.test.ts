/** Completion scripts: bash is asked itself where it is there, the others are read. */
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { Command } from 'commander';
import { completionScript, SHELLS } from '../../src/cli/completion.ts';
import { buildProgram } from '../../src/cli/program.ts';

const program = buildProgram(() => Promise.reject(new Error('no node is to be started')));
const hasBash = spawnSync('bash', ['--version']).status === 0;

/** What bash offers for the words; the last one is that at the cursor. `clb` prints its arguments. */
function offered(...words: readonly string[]): readonly string[] {
  const script =
    `${completionScript(program, 'bash')}\nclb() { echo "asked:$1"; }\n` +
    `COMP_WORDS=(clb ${words.map((word) => `'${word}'`).join(' ')})\nCOMP_CWORD=${words.length}\n` +
    `_clb\nprintf '%s\\n' "\${COMPREPLY[@]}"\n`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout.split('\n').filter((line) => line !== '');
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

  it('completes commands, options and values in bash', { skip: !hasBash }, () => {
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

  it(
    'asks the cluster for names and ids, and leaves files and commands to the shell',
    { skip: !hasBash },
    () => {
      assert.deepEqual(offered('drain', 'ask'), ['asked:nodes']);
      assert.deepEqual(offered('raft', 'transfer', 'ask'), ['asked:nodes']);
      assert.deepEqual(offered('logs', 'ask'), ['asked:tasks']);
      assert.deepEqual(offered('submit', '-f', ''), []);
      assert.deepEqual(offered('run', '--', 'qu'), []);
    },
  );
});
