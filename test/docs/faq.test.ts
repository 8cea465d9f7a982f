/** What the FAQ quotes (codes, reasons, statuses, fields, flags, commands) is what the sources have: a row that went stale shows. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { ERROR_STATUS } from '../../src/api/errors.ts';
import { buildProgram } from '../../src/cli/program.ts';

const root = resolve(import.meta.dirname, '../..');
const faq = readFileSync(join(root, 'docs/faq.md'), 'utf8');
const quoted = [...faq.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
const sources = readdirSync(join(root, 'src'), { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
  .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
  .join('\n');

function optionsOf(command: Command): readonly string[] {
  const own = command.options.flatMap(({ long }) => long ?? []);
  return [...own, ...command.commands.flatMap(optionsOf)];
}

describe('the FAQ', () => {
  const program = buildProgram(() => Promise.reject(new Error('no node is to be started')));

  it('quotes codes that the API has, with their status', () => {
    const pairs = [...faq.matchAll(/\b([45]\d\d) `([A-Z_]+)`/g)];
    assert.ok(pairs.length >= 8, `${pairs.length} of them`);
    for (const [, status, code = ''] of pairs) {
      assert.equal(String((ERROR_STATUS as Readonly<Record<string, number>>)[code]), status, code);
    }
    const codes = quoted.filter((text) => /^[A-Z]+(_[A-Z]+)+$/.test(text) && text !== 'CLB_TOKEN');
    assert.deepEqual(
      codes.filter((code) => !Object.hasOwn(ERROR_STATUS, code)),
      [],
    );
  });

  it('quotes reasons, statuses and fields that there are', () => {
    const words = [...new Set(quoted.filter((text) => /^[a-z]+([_A-Z][A-Za-z]+)*$/.test(text)))];
    assert.ok(words.length >= 15, words.join());
    for (const word of words) {
      assert.ok(new RegExp(`\\b${word}\\b`).test(sources), `${word} is nowhere in src`);
    }
  });

  it('names commands and flags that there are', () => {
    const flags = new Set(optionsOf(program));
    for (const [flag] of faq.matchAll(/(?<=[ `(])--[a-z][a-z-]+/g)) assert.ok(flags.has(flag), flag);
    const names = program.commands.map((command) => command.name());
    for (const [, name = ''] of faq.matchAll(/`clb ([a-z]+)/g))
      assert.ok(names.includes(name), `clb ${name}`);
  });
});
