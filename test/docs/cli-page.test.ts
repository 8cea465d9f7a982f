/** docs/cli.md against the commands themselves: every command and option is in it, and nothing that is not there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '../../src/cli/program.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/cli.md'), 'utf8');
const program = buildProgram(() => Promise.reject(new Error('no node is to be started')));

interface Known {
  /** `raft transfer` */
  readonly path: string;
  readonly command: Command;
}

function everyCommand(command: Command, path = ''): Known[] {
  return command.commands.flatMap((sub) => {
    const own = `${path} ${sub.name()}`.trim();
    return [{ path: own, command: sub }, ...everyCommand(sub, own)];
  });
}

const commands = everyCommand(program);

describe('docs/cli.md', () => {
  it('has an example of every command', () => {
    const missing = commands
      // `raft status` is what `raft` does.
      .filter(({ command, path }) => command.commands.length === 0 && path !== 'raft status')
      .filter(({ path }) => !new RegExp(`^ {4}.*\\bclb (-\\w+ )*${path}\\b`, 'm').test(page))
      .map(({ path }) => path);
    assert.deepEqual(missing, []);
  });

  it('names every option, and none that is not there', () => {
    const there = new Set(
      [program, ...commands.map(({ command }) => command)].flatMap(({ options }) =>
        options.map(({ long }) => long),
      ),
    );
    const named = new Set([...page.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag));
    assert.deepEqual(
      [...there].filter((flag) => flag != null && !named.has(flag) && flag !== '--version'),
      [],
      'missing in the page',
    );
    assert.deepEqual(
      [...named].filter((flag) => !there.has(flag) && flag !== '--help'),
      [],
      'only in the page',
    );
  });

  it('every command has help with an example that the command itself understands', () => {
    for (const { path, command } of commands) {
      if (path === 'help') continue;
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) });
      command.outputHelp();
      assert.match(help, /Examples?( \([^)]*\))?:\n/, path);
      assert.ok(help.includes(`clb ${path.split(' ')[0] ?? ''}`), path);
    }
  });
});
