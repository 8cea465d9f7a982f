/// <reference lib="dom" />
/**
 * Goal: the library as its users have it, against a real cluster: every example of docs/library.md run as a program that
 * imports 'clb' and prints what it says it prints; the browser's build bundled by Vite and used in a page of the client
 * node (needs Debian's chromium; says so loudly where there is none, and counts as skipped).
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { build } from 'vite';
import type * as browserLibrary from '../../src/sdk/browser.ts';
import { fencesOf } from '../docs/fences.ts';
import { ProcessCluster } from './processes.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
if (CHROMIUM === undefined)
  console.error('SKIPPED: the library in the browser needs chromium (apt-get install chromium)');
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
];

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const EXAMPLE_MS_MAX = 60_000;
const PAGE_MS_MAX = 60_000;

describe('the library', { timeout: 400_000 }, () => {
  // Inside the package, so that 'clb' means this one.
  mkdirSync(join(root, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(root, 'dist/examples-'));
  let cluster: ProcessCluster;

  before(async () => {
    cluster = await ProcessCluster.start({ only: ['server1', 'server2', 'server3', 'client'] });
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cluster.destroy();
  });

  /** Where the docs name the servers of `clb up`, the test has its own. */
  const here = (code: string): string =>
    [3002, 3004, 3005].reduce(
      (text, port, i) => text.replaceAll(`127.0.0.1:${port}`, cluster.servers[i] ?? ''),
      code,
    );

  for (const { line, language, code, prints } of fencesOf(join(root, 'docs/library.md'))) {
    it(`does what docs/library.md:${line} says`, async () => {
      assert.equal(language, 'ts');
      assert.ok(prints.length > 0, 'an example says what it prints');
      const file = join(folder, `line-${line}.mjs`);
      writeFileSync(file, here(code));
      const { stdout } = await run(process.execPath, [file], { timeout: EXAMPLE_MS_MAX });
      assert.deepEqual(stdout.trimEnd().split('\n'), prints);
    });
  }

  it('in the browser holds nothing of Node, and works in a page of the client node', async (t) => {
    const entry = join(folder, 'page.js');
    writeFileSync(
      entry,
      "import { Clb, ClbError } from 'clb';\nglobalThis.clbLibrary = { Clb, ClbError };\n",
    );
    await build({
      root: folder,
      logLevel: 'error',
      build: {
        outDir: join(folder, 'out'),
        lib: { entry, formats: ['iife'], name: 'page', fileName: () => 'page.js' },
        minify: false,
      },
    });
    const bundle = readFileSync(join(folder, 'out/page.js'), 'utf8');
    assert.doesNotMatch(bundle, /node:|axios|__vite-browser-external/);
    if (CHROMIUM === undefined) {
      t.skip('no chromium');
      return;
    }
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET });
    try {
      const page = await browser.newPage();
      await page.goto(cluster.url('client', '/'));
      await page.evaluate(bundle);
      page.setDefaultTimeout(PAGE_MS_MAX);
      const told = await Promise.race([page.evaluate(useLibrary), tooLong()]);
      assert.deepEqual(told, {
        stdout: 'from a page\n',
        many: 50,
        lines: 'one\ntwo\n',
        seen: true,
        refusal: 'INVALID',
        aborted: 'TimeoutError',
        canceled: 'canceled',
      });
    } finally {
      await browser.close();
    }
  });
});

function tooLong(): Promise<string> {
  return new Promise((resolve) => setTimeout(() => resolve('not within a minute'), PAGE_MS_MAX).unref());
}

/** Runs in the page. */
async function useLibrary(): Promise<unknown> {
  const { clbLibrary } = globalThis as unknown as {
    clbLibrary: typeof browserLibrary;
  };
  const clb = new clbLibrary.Clb();
  const task = await clb.run({ command: ['echo', 'from a page'] });
  const many = await Promise.all(Array.from({ length: 50 }, () => clb.submit({ command: ['true'] })));
  const printing = await clb.submit({ command: ['sh', '-c', 'echo one; sleep 0.3; echo two'] });
  let lines = '';
  for await (const bytes of clb.logs(printing.id, { follow: true })) lines += new TextDecoder().decode(bytes);
  let seen = false;
  for await (const { events } of clb.subscribe({ lastEventId: printing.index - 1 })) {
    seen = events.some((event) => event.kind === 'task' && event.id === printing.id);
    if (seen) break;
  }
  const refusal = await clb.submit({ command: [] }).catch((error: unknown) => error);
  const sleeping = await clb.submit({ command: ['sleep', '300'] });
  const aborted = await clb
    .wait(sleeping, { signal: AbortSignal.timeout(300) })
    .catch((error: unknown) => error);
  await clb.cancel(sleeping.id);
  const canceled = (await clb.wait(sleeping.id)).status;
  clb.close();
  return {
    stdout: task.result?.stdout,
    many: new Set(many.map(({ id }) => id)).size,
    lines,
    seen,
    refusal: refusal instanceof clbLibrary.ClbError ? refusal.code : String(refusal),
    aborted: aborted instanceof Error ? aborted.name : String(aborted),
    canceled,
  };
}
