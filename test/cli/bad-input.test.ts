/**
 * Goal: whoever mistypes a value on the command line is told the flag, the value (shortened) and what may stand there.
 * Method: every option of every command that checks its value is given one that nothing allows, and a very long one; ranges
 * and lengths are tried on either side; what only a server can judge is sent to one.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Command, Option } from 'commander';
import { closeAll, startServer } from '../web/nodes.ts';
import { commandsOf, heardProgram, parse } from './parse.ts';

const LONG_CHARS = 5_000;
const SHOWN_CHARS = 60;
/** The message and the pointer to the help below it. */
const SAID_CHARS_MAX = 900;

after(closeAll);

function nameOf(command: Command): readonly string[] {
  return command.parent === null ? [] : [...nameOf(command.parent), command.name()];
}

/** Options of which any text is a value, though something is made of it. */
const TAKES_ANY: ReadonlySet<string> = new Set([
  ...['--after', '--with-file', '--collect', '--allow-host', '--data', '--dir', '--server', '--data-folder'],
]);

interface Checked {
  readonly command: Command;
  readonly option: Option;
}

const checked: readonly Checked[] = commandsOf(heardProgram(() => undefined)).flatMap((command) =>
  command.options
    .filter((option) => option.parseArg !== undefined && !TAKES_ANY.has(option.long ?? ''))
    .map((option) => ({ command, option })),
);

describe('an option with a value that it cannot have', () => {
  it('is looked at here, on every command that has one', () => {
    assert.ok(checked.length > 40, `${checked.length} options`);
  });

  for (const { command, option } of checked) {
    const flag = option.long ?? '';
    it(`clb ${[...nameOf(command), flag].join(' ')}: names flag, value and what is wanted`, async () => {
      for (const value of ['?', '?'.repeat(LONG_CHARS)]) {
        // A key may be anything but long.
        if (value === '?' && /idempotency-key|--name|--interpreter|--token/.test(flag)) continue;
        const { code, said } = await parse([...nameOf(command), flag, value]);
        assert.equal(code, 2, said);
        const [message = ''] = said.split('\n');
        assert.ok(message.includes(flag), message);
        assert.ok(message.includes(`'${value.slice(0, SHOWN_CHARS)}`), message);
        assert.match(message, /is invalid\. \S.*\S\.$/, 'and says what may stand there');
        assert.ok(said.length < SAID_CHARS_MAX, `${said.length} characters`);
        if (value.length > SHOWN_CHARS) assert.ok(message.includes(`(${LONG_CHARS} characters)`), message);
      }
    });
  }
});

const RANGES: readonly (readonly [flag: string, bad: readonly string[], wanted: RegExp])[] = [
  ['--timeout', ['0s', '31d', '2592001s'], /from 1ms to 30d/],
  ['--backoff', ['25h'], /from 0s to 1d/],
  ['--delay', ['366d'], /from 0s to 365d/],
  ['--max-attempts', ['0', '101', '-1', '1.5'], /whole number from 1 to 100/],
  ['--priority', ['101', '-1', 'high'], /whole number from 0 to 100/],
  ['--cpu', ['1024.5', '-1', '1e3'], /from 0 to 1024/],
  ['--memory', ['17T', '16385G'], /At most 16T/],
  ['--memory', ['256', '-1M'], /number with its unit: 256M, 2G/],
  ['--name', ['', 'n'.repeat(201)], /1 to 200 characters.*not (0|201)/],
  ['--idempotency-key', ['', 'k'.repeat(257)], /1 to 256 characters.*not (0|257)/],
  ['--interpreter', ['', 'i'.repeat(4_097)], /1 to 4096 characters/],
  ['--cwd', ['tmp', './x'], /on the node, and must begin with \//],
  ['--cwd', [`/${'d'.repeat(4_096)}`], /1 to 4096 characters.*not 4097/],
  ['--give-up-on', ['256', '-1', 'x'], /whole number from 0 to 255/],
  ['--env', ['NAME', '=x'], /KEY=VALUE/],
  ['--label', ['NAME', '=x'], /KEY=VALUE/],
  ['--constraint', ['NAME'], /KEY=VALUE/],
  ['--on-disconnect', ['cry'], /pause, stop, continue/],
];

describe('an option of submit just beyond its limits', () => {
  for (const [flag, values, wanted] of RANGES) {
    it(`${flag}: ${wanted.source}`, async () => {
      for (const value of values) {
        const { code, said } = await parse(['submit', `${flag}=${value}`, '--', 'true']);
        assert.equal(code, 2, said);
        const [message = ''] = said.split('\n');
        assert.ok(message.includes(flag) && message.includes(`'${value.slice(0, SHOWN_CHARS)}`), message);
        assert.match(message, wanted);
      }
    });
  }

  it('is every option of submit that checks its value', () => {
    const options = checked
      .filter(({ command }) => command.name() === 'submit')
      .map(({ option }) => option.long);
    assert.deepEqual([...new Set(RANGES.map(([flag]) => flag))].toSorted(), options.toSorted());
  });
});

describe('what only a server can judge', () => {
  const NAMES = 65;
  const cases: readonly (readonly [args: readonly string[], said: readonly string[]])[] = [
    [
      Array.from({ length: NAMES }, (_, n) => ['--label', `k${n}=v`]).flat(),
      ['labels', `${NAMES}`, 'at most 64 labels'],
    ],
    [
      ['--label', `team=${'x'.repeat(201)}`],
      ['labels.team', '201 characters', 'limit of 200 characters'],
    ],
    [
      ['--constraint', `${'k'.repeat(201)}=v`],
      ['constraints', '<=200 characters'],
    ],
    [
      ['--collect', '/etc/*'],
      ['collect[0]', '"/etc/*"', 'relative to the scratch folder'],
    ],
    [
      ['--', ...Array<string>(1_001).fill('x')],
      ['command', '1002 items', 'limit of 1000 items'],
    ],
  ];
  for (const [args, expected] of cases) {
    it(`says ${expected.join(', ')}`, async () => {
      const { address } = await startServer();
      const words = args[0] === '--' ? ['--', 'true', ...args.slice(1)] : [...args, '--', 'true'];
      const { code, said } = await parse(['submit', ...words], address);
      assert.equal(code, 2, said);
      for (const part of expected) assert.ok(said.includes(part), `${part} in: ${said}`);
      assert.ok(said.length < SAID_CHARS_MAX);
    });
  }

  it('says how large a task may be', async () => {
    const { address } = await startServer();
    const { code, said } = await parse(['submit', '--', 'echo', 'x'.repeat(1_100_000)], address);
    assert.equal(code, 1, said);
    assert.match(said, /has 1100023 bytes .*limit is 1048576/);
  });

  it('says that there is no such task, however long its name', async () => {
    const { address } = await startServer();
    const { code, said } = await parse(['task', 'x'.repeat(LONG_CHARS)], address);
    assert.equal(code, 3, said);
    assert.ok(said.length < SAID_CHARS_MAX, `${said.length} characters`);
  });
});
