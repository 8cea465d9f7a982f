/** What is refused before anybody is asked: exit code 2 and a message that names what is wrong. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { heardProgram, parse } from './parse.ts';

const REFUSED: readonly (readonly [args: string[], said: RegExp])[] = [
  [[], /Usage: clb/],
  [['frobnicate'], /unknown command 'frobnicate'/],
  [['tasks', '--limit', 'many'], /--limit.*whole number/],
  [['tasks', '--limit', '0'], /--limit.*from 1/],
  [['tasks', '--status', 'asleep'], /Allowed choices are scheduled, queued/],
  [['tasks', '-o', 'xml'], /Allowed choices are table, json, jsonl/],
  [['submit'], /nothing to run/],
  [['submit', '-f', '/nowhere/x.py'], /can't read \/nowhere\/x.py/],
  [['submit', '-f', 'x.py', '--', 'true'], /not both/],
  [['submit', '--timeout', '60', '--', 'true'], /--timeout.*unit/],
  [['submit', '--memory', '256', '--', 'true'], /--memory.*unit/],
  [['submit', '--env', 'NAME', '--', 'true'], /KEY=VALUE/],
  [['submit', '--priority', '101', '--', 'true'], /--priority.*from 0 to 100/],
  [['submit', '--on-disconnect', 'cry', '--', 'true'], /pause, stop, continue/],
  [['submit', '--idempotency-key', '', '--', 'true'], /1 to 256 characters/],
  [['submit', '--interpreter', 'sh', '--', 'true'], /goes with a script/],
  [['submit', '-f', '-', '--stdin'], /not both/],
  [['run', 'ls', '-l'], /unknown option '-l'/],
  [['wait'], /missing required argument 'id'/],
  [['task', 'a', 'b'], /too many arguments/],
  [['drain', 'n', '--off', '--deadline', '1m'], /does not go with --off/],
  [['raft', 'log', '--from', '9', '--to', '3'], /--to is below --from/],
  [['raft', 'transfer'], /missing required argument 'node'/],
  [['queue', 'stop'], /Allowed choices are pause, resume/],
  [['queue', 'pause', '--watch'], /--watch does not go with pause/],
  [['raft', 'lug'], /too many arguments for 'status'/],
  [['tasks', '--server', 'nonsense'], /"nonsense" is not of the form host:port/],
  [['tasks', '--token', 'a b'], /printable ASCII/],
  [['tasks', '--token-file', '/nowhere'], /--token-file/],
  [['server', '--id', 'a', '--port', '1', '--data', 'd'], /give --peers/],
  [['server', '--id', 'a', '--port', '1', '--data', 'd', '--peers', 'b=h:1'], /a is not among b/],
  [['server', '--id', 'a', '--port', '1', '--data', 'd', '--peers', 'a=h:1,a=h:2'], /twice/],
  [['server', '--id', 'a b', '--port', '1', '--data', 'd'], /--id/],
  [['server', '--id', 'a', '--port', '0', '--data', 'd'], /--port/],
  [['worker', '--id', 'a', '--port', '1', '--data', 'd', '--servers', 'h'], /HOST:PORT/],
  [['worker', '--id', 'a', '--port', '1', '--data', 'd'], /--servers/],
  [
    ['worker', '--id', 'a', '--port', '1', '--data', 'd', '--servers', 'h:1', '--host', '0.0.0.0'],
    /--no-token/,
  ],
  [['client', '--port', '1', '--data', 'd', '--servers', 'h:1', '--database', 'h'], /http:\/\/HOST:PORT/],
  [['up', '--port-base', '65530', '--workers', '6'], /leaves no ports/],
];

describe('a command line that makes no sense', () => {
  it('is told where to read about that command', async () => {
    assert.match((await parse(['submit', '--timeout', '60'])).said, /See `clb submit --help`\./);
    assert.match((await parse(['raft', 'transfer'])).said, /See `clb raft transfer --help`\./);
    assert.match((await parse(['submit'])).said, /nothing to run.*\nSee `clb submit --help`\./);
  });

  for (const [args, expected] of REFUSED) {
    it(`clb ${args.join(' ')}: exit code 2, ${expected.source}`, async () => {
      const { code, said } = await parse(args);
      assert.equal(code, 2, said);
      assert.match(said, expected);
    });
  }
});

describe('help', () => {
  it('of every command exits with 0 and shows an example and the global options', async () => {
    const program = heardProgram(() => undefined);
    const names = program.commands.map((command) => command.name());
    assert.deepEqual(names.slice(0, 3), ['submit', 'run', 'tasks']);
    const nested = program.commands.flatMap((command) =>
      command.commands.map((sub) => `${command.name()} ${sub.name()}`),
    );
    for (const name of [...names, ...nested]) {
      const { code, said } = await parse([...name.split(' '), '--help']);
      assert.equal(code, 0, name);
      assert.match(said, /Example/, name);
      assert.match(said, /--server <host:port,…>/, name);
    }
  });
});
