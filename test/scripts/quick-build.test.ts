/** Goal: `npm start` builds what is out of date, and nothing else, and never leaves an old output behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { buildModules, buildWhole } from '../../scripts/quick-build.ts';

describe('the build of npm start', () => {
  let folder: string;
  let source: string;
  let out: string;
  let stamps: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'clb-build-'));
    source = join(folder, 'src');
    out = join(folder, 'dist');
    stamps = join(folder, 'cache', 'stamps.json');
    write('package.json', '{"type":"module"}');
    write(
      'src/main.ts',
      "import { name } from './part/name.ts';\nconst shown: string = name;\nconsole.log(shown);\n",
    );
    write('src/part/name.ts', "export type Name = string;\nexport const name: Name = 'one';\n");
    write('src/part/shapes.d.ts', 'export interface Shape {}\n');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  let clock = 1_700_000_000;
  function write(file: string, text: string): void {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
    // Two changes within one tick of a coarse file system clock are two changes.
    clock += 10;
    utimesSync(join(folder, file), clock, clock);
  }
  function run(): string {
    const { stdout, stderr } = spawnSync(process.execPath, [join(out, 'main.js')], { encoding: 'utf8' });
    assert.equal(stderr, '');
    return stdout.trim();
  }
  const files = (list: readonly string[]): readonly string[] => [...list].sort();

  it('makes every module once, and what it makes runs', async () => {
    assert.deepEqual(files(await buildModules({ source, out, stamps })), [
      'main.ts',
      join('part', 'name.ts'),
    ]);
    assert.equal(run(), 'one');
    assert.deepEqual(await buildModules({ source, out, stamps }), []);
  });

  it('makes one that was changed anew, also where the change has an older date', async () => {
    await buildModules({ source, out, stamps });
    write('src/part/name.ts', "export const name = 'two';\n");
    utimesSync(join(source, 'part/name.ts'), 1_000_000_000, 1_000_000_000);
    assert.deepEqual(await buildModules({ source, out, stamps }), [join('part', 'name.ts')]);
    assert.equal(run(), 'two');
  });

  it('makes an output anew that somebody removed, and removes one whose source is gone', async () => {
    await buildModules({ source, out, stamps });
    rmSync(join(out, 'main.js'));
    assert.deepEqual(await buildModules({ source, out, stamps }), ['main.ts']);
    rmSync(join(source, 'main.ts'));
    await buildModules({ source, out, stamps });
    assert.equal(existsSync(join(out, 'main.js')), false);
  });

  it('leaves nothing behind by which tsc would take its outputs for tsc’s own', async () => {
    write('dist/.tsbuildinfo', '{}');
    await buildModules({ source, out, stamps });
    assert.equal(existsSync(join(out, '.tsbuildinfo')), false);
    write('dist/.tsbuildinfo', '{}');
    await buildModules({ source, out, stamps });
    assert.equal(existsSync(join(out, '.tsbuildinfo')), true, 'nothing was out of date');
  });

  it('makes all anew where it cannot read what it made when', async () => {
    await buildModules({ source, out, stamps });
    writeFileSync(stamps, '{');
    assert.equal((await buildModules({ source, out, stamps })).length, 2);
  });

  it('says which module makes no sense, and takes it for made only when it does', async () => {
    write('src/part/name.ts', 'export const name = ;\n');
    await assert.rejects(buildModules({ source, out, stamps }), /name\.ts:1/);
    write('src/part/name.ts', "export const name = 'three';\n");
    await buildModules({ source, out, stamps });
    assert.equal(run(), 'three');
  });

  it('makes a whole once for all its sources', async () => {
    const made: string[] = [];
    const make = (): Promise<void> => {
      made.push(readFileSync(join(source, 'part/name.ts'), 'utf8'));
      return Promise.resolve();
    };
    mkdirSync(out);
    assert.equal(await buildWhole({ source, out, stamps }, make), true);
    assert.equal(await buildWhole({ source, out, stamps }, make), false);
    write('src/part/name.ts', 'export const name = 4;\n');
    assert.equal(await buildWhole({ source, out, stamps }, make), true);
    assert.equal(made.length, 2);
    rmSync(out, { recursive: true });
    const failing = buildWhole({ source, out, stamps }, () => Promise.reject(new Error('it failed')));
    await assert.rejects(failing, /it failed/);
    assert.equal(await buildWhole({ source, out, stamps }, make), true, 'what it made is gone');
  });
});
