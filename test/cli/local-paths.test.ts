/** Goal: the command line does on Windows what it does elsewhere. Method: what handles paths is told which platform it is on. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { filePathProblem } from '../../src/api/task-files.ts';
import { exitCodeOfError, explain } from '../../src/cli/exit-code.ts';
import {
  localFile,
  localIdentity,
  localNameProblem,
  nodeProblem,
  taskFileName,
} from '../../src/cli/local-paths.ts';
import { buildProgram } from '../../src/cli/program.ts';

describe('the name of a file of this machine in the folder of a task', () => {
  const NAMES: readonly (readonly [source: string, posix: string, win32: string])[] = [
    ['data.csv', 'data.csv', 'data.csv'],
    ['in/data.csv', 'in/data.csv', 'in/data.csv'],
    ['./in//data.csv', 'in/data.csv', 'in/data.csv'],
    ['in/../data.csv', 'data.csv', 'data.csv'],
    ['../other/data.csv', 'data.csv', 'data.csv'],
    ['..data', '..data', '..data'],
    ['/srv/data.csv', 'data.csv', 'data.csv'],
    ['.', '.', '.'],
    [String.raw`in\data.csv`, String.raw`in\data.csv`, 'in/data.csv'],
    [String.raw`.\in\deep/er\data.csv`, String.raw`.\in\deep/er\data.csv`, 'in/deep/er/data.csv'],
    [String.raw`C:\Users\ada\data.csv`, String.raw`C:\Users\ada\data.csv`, 'data.csv'],
    ['C:/Users/ada/data.csv', 'C:/Users/ada/data.csv', 'data.csv'],
    ['C:data.csv', 'C:data.csv', 'data.csv'],
    [String.raw`C:in\data.csv`, String.raw`C:in\data.csv`, 'data.csv'],
    [String.raw`\data.csv`, String.raw`\data.csv`, 'data.csv'],
    [String.raw`\\server\share\in\data.csv`, String.raw`\\server\share\in\data.csv`, 'data.csv'],
    [String.raw`..\data.csv`, String.raw`..\data.csv`, 'data.csv'],
  ];
  for (const [source, posix, win32] of NAMES) {
    it(`${source}: ${win32} on Windows, ${posix} elsewhere`, () => {
      assert.equal(taskFileName(source, 'linux'), posix);
      assert.equal(taskFileName(source, 'darwin'), posix);
      assert.equal(taskFileName(source, 'win32'), win32);
    });
  }

  it('is one that the cluster takes, on Windows', () => {
    for (const [source, , win32] of NAMES.filter(([name]) => name !== '.'))
      assert.equal(filePathProblem(win32), null, source);
  });
});

describe('the place where a file of a task is saved', () => {
  it('has its folders below the one that was asked for', () => {
    assert.equal(localFile('/tmp/results', 'out/plot.png', 'linux'), '/tmp/results/out/plot.png');
    assert.equal(
      localFile(String.raw`C:\results`, 'out/plot.png', 'win32'),
      String.raw`C:\results\out\plot.png`,
    );
    assert.equal(localFile('results', 'plot.png', 'win32'), String.raw`results\plot.png`);
  });

  const NO_NAMES: readonly (readonly [name: string, why: RegExp])[] = [
    [String.raw`..\..\Windows\evil.dll`, /"\\\\" cannot be in the name/],
    ['out/a:b', /":" cannot be/],
    ['what?.txt', /"\?" cannot be/],
    ['a*', /"\*"/],
    ['a\u0007b', /"\\u0007"/],
    ['con', /"con" is the name of a device/],
    ['out/NUL.txt', /"NUL.txt" is the name of a device/],
    ['lpt1/x', /"lpt1" is the name of a device/],
    ['out./x', /dot or a blank/],
    ['x ', /dot or a blank/],
  ];
  for (const [name, why] of NO_NAMES) {
    it(`is none for ${JSON.stringify(name)} on Windows: it would be somewhere else, or something else`, () => {
      assert.match(localNameProblem(name, 'win32') ?? '', why);
      assert.equal(localNameProblem(name, 'linux'), null);
    });
  }

  it('is there for what only looks like it', () => {
    for (const name of ['console.log', 'out/nullable', 'com', 'com10', '.hidden', 'a b.txt', 'ünï.txt'])
      assert.equal(localNameProblem(name, 'win32'), null, name);
  });

  it('is the same for two names that differ in case, on Windows', () => {
    assert.equal(localIdentity('Out/A.TXT', 'win32'), localIdentity('out/a.txt', 'win32'));
    assert.notEqual(localIdentity('A', 'linux'), localIdentity('a', 'linux'));
  });
});

describe('a node on Windows', () => {
  const COMMANDS = [
    'up',
    'server --id a --port 1 --data d --peers a=h:1',
    'worker --id a --port 1 --data d --servers h:1',
    'client --port 1 --data d --servers h:1',
    'database --port 1 --data d',
  ];
  for (const line of COMMANDS) {
    it(`clb ${line}: is told where it can run, before anything is loaded`, async () => {
      const program = buildProgram(() => Promise.reject(new Error('it was loaded')), 'win32');
      await assert.rejects(program.parseAsync(['node', 'clb', ...line.split(' ')]), (error) => {
        assert.equal(exitCodeOfError(error), 2);
        assert.match(explain(error).join('\n'), /WSL2 .*docker compose up.*--server/s);
        return true;
      });
    });
  }

  it('is a node anywhere else', () => {
    assert.equal(nodeProblem('linux'), null);
    assert.equal(nodeProblem('darwin'), null);
  });
});
