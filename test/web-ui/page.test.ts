/** The built page in a real browser, over a made-up cluster: what a person sees and does. */
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Locator, Page } from 'playwright-core';
import { axeFaults } from './axe.ts';
import { chromiumPath, openBrowser } from './chromium.ts';
import type { Browser } from './chromium.ts';
import { FakeApi } from './fake-api.ts';

const BUILT = join(import.meta.dirname, '../../dist/web/ui');
const FIRST_VIEW_BYTES_MAX = 200_000;
/** For a busy machine; nothing here is expected to take so long. */
const PATIENCE_MS = 15_000;
const SPEED = 60;

describe('the first view', () => {
  it(`is less than ${String(FIRST_VIEW_BYTES_MAX)} bytes, compressed`, () => {
    const size = (file: string): number => gzipSync(readFileSync(join(BUILT, file))).byteLength;
    const html = readFileSync(join(BUILT, 'index.html'), 'utf8');
    const named = [...html.matchAll(/(?:src|href)="\/([^"]+\.\w+)"/g)].map(([, file = '']) => file);
    assert.ok(named.length >= 3, 'npm run build:ui first');
    const bytes = ['index.html', ...named].map(size);
    assert.ok(bytes.reduce((sum, each) => sum + each, 0) < FIRST_VIEW_BYTES_MAX, bytes.join());
    // What is fetched later is in files of its own, and nothing but them.
    const entry = readFileSync(join(BUILT, named.find((file) => file.endsWith('.js')) ?? ''), 'utf8');
    assert.doesNotMatch(entry, /^import\b|[;}]import["'{]/, 'the entry imports nothing at its start');
    const later = readdirSync(join(BUILT, 'assets')).filter((file) => !named.includes(`assets/${file}`));
    for (const lazy of ['script-editor', 'chart-plot'])
      assert.ok(
        later.some((file) => file.startsWith(lazy)),
        lazy,
      );
  });

  it('asks for nothing from anywhere else', () => {
    const html = readFileSync(join(BUILT, 'index.html'), 'utf8');
    assert.doesNotMatch(html, /(src|href)="(https?:)?\/\//);
    assert.doesNotMatch(
      html,
      /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=/,
      'nothing inline: the CSP forbids it',
    );
  });
});

describe('the page', { skip: chromiumPath === null ? 'no Chromium here (CLB_CHROMIUM)' : false }, () => {
  let browser: Browser;
  let api: FakeApi;
  let page: Page;

  before(async () => {
    browser = await openBrowser();
    page = browser.page;
    page.setDefaultTimeout(PATIENCE_MS);
  });
  after(() => browser.close());
  beforeEach(async () => {
    api = await FakeApi.open({ speed: SPEED });
    await page.setViewportSize({ width: 1280, height: 800 });
  });
  afterEach(async () => {
    await page.goto('about:blank');
    await api.close();
    assert.deepEqual(browser.complaints, []);
  });

  const button = (name: string): Locator => page.getByRole('button', { name });
  const rows = (status?: string): Locator =>
    page.locator(`[data-testid=task-row]${status === undefined ? '' : `[data-status=${status}]`}`);
  const open = async (): Promise<void> => {
    await page.goto(api.url);
    await page.locator('[data-testid=link-state][data-state=live]').waitFor();
  };
  const sendOne = async (): Promise<void> => {
    await button('Generate Payload').click();
    await button('Send Payload').click();
  };

  it('generates a payload, sends it once and shows its result by itself, reloaded or not', async () => {
    await open();
    await page.getByTestId('tasks-empty').waitFor();
    await button('Generate Payload').click();
    const script = await page.getByTestId('payload-input').inputValue();
    const [, a, b] = /print\((\d+) \+ (\d+)\)/.exec(script) ?? assert.fail(script);
    await button('Send Payload').click();
    await rows('succeeded').waitFor();
    const result = rows().getByTestId('task-result');
    await result.getByText(String(Number(a) + Number(b)), { exact: true }).waitFor();
    assert.equal(await page.getByTestId('payload-input').inputValue(), '');
    assert.equal(api.keys.length, 1);
    await page.reload();
    await result.getByText(String(Number(a) + Number(b)), { exact: true }).waitFor();
    assert.equal(await rows().count(), 1);
  });

  it('lets a person stop the master and watch the payload finish on another node', async () => {
    await open();
    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
    await page.getByTestId('payload-input').fill('import time\ntime.sleep(36000)\nprint(20 + 3)\n');
    await button('Send Payload').click();
    await rows('running').waitFor();
    const node = (await rows().getAttribute('data-node')) ?? assert.fail();
    await button('Stop server1').click();
    await page.locator('[data-testid=master]:not([data-master=server1]):not([data-master=""])').waitFor();
    await button(`Stop ${node}`).click();
    await page.locator(`[data-testid=node][data-node=${node}][data-phase=stopped]`).waitFor();
    await button('Start server1').click();
    await rows('running').getByText('attempt 2').waitFor();
    api.cluster.finish((await rows().getAttribute('data-task-id')) ?? assert.fail());
    await rows('succeeded').waitFor();
    await rows().getByTestId('task-result').getByText('23').waitFor();
    assert.equal(await page.evaluate(() => 'sameDocument' in globalThis), true, 'without a reload');
  });

  it('sends again under the same key when the answer got lost: it is one task', async () => {
    await open();
    api.faults.submits.push('lost', 'NO_LEADER', 'UNKNOWN_OUTCOME');
    await sendOne();
    await page.locator('[data-testid=send-status][data-state=sent]').waitFor();
    assert.equal(api.keys.length, 4);
    assert.equal(new Set(api.keys).size, 1);
    assert.equal(api.cluster.tasks.size, 1);
    assert.equal(await rows().count(), 1);
  });

  it('shows what is wrong with a payload, keeps it, and puts the cursor there', async () => {
    await open();
    api.faults.submits.push('INVALID');
    await page.getByTestId('payload-input').fill('print(1)');
    await button('Send Payload').click();
    await page.getByTestId('send-problem').getByText('INVALID').waitFor();
    const input = page.getByTestId('payload-input');
    assert.equal(await input.inputValue(), 'print(1)');
    assert.equal(await input.getAttribute('aria-invalid'), 'true');
    await page.locator('[data-testid=payload-input]:focus').waitFor();
  });

  it('shows a wrong option where it was typed, folded away or not', async () => {
    await open();
    const options = page.locator('details.options > summary');
    await options.click();
    await page.locator('input[name=priority]').fill('high');
    await options.click();
    await page.getByTestId('payload-input').fill('print(1)');
    await button('Send Payload').click();
    await page.getByTestId('send-problem').getByText('from 0 to 100, not “high”').waitFor();
    await page.locator('input[name=priority][aria-invalid=true]:focus').waitFor();
    assert.equal(api.cluster.tasks.size, 0, 'nothing was sent');
  });

  it('asks by itself while the stream of events is away, and says so', async () => {
    api.faults.refuseEvents = true;
    await page.goto(api.url);
    await page.locator('[data-testid=link-state][data-state=reconnecting]').waitFor();
    await sendOne();
    await rows('succeeded').waitFor();
    api.faults.refuseEvents = false;
    await page.locator('[data-testid=link-state][data-state=live]').waitFor();
  });

  it('says that what it shows may be old while no majority is left', async () => {
    await open();
    await button('Stop server1').click();
    await button('Stop server2').click();
    await page.getByTestId('banner-stale').waitFor();
    await page.getByTestId('master').getByText('no master').waitFor();
    assert.equal(await page.getByTestId('node').count(), 4, 'stopped nodes stay listed');
    await button('Start server1').click();
    await page.getByTestId('banner-stale').waitFor({ state: 'detached' });
  });

  it('asks for the token, and takes no wrong one', async () => {
    api.faults.token = 'open sesame';
    await page.goto(api.url);
    await page.getByLabel('Token').fill('wrong');
    await button('Sign in').click();
    await page.getByRole('alert').getByText('not the token').waitFor();
    await page.getByLabel('Token').fill('open sesame');
    await button('Sign in').click();
    await button('Generate Payload').waitFor();
    await page.locator('[data-testid=link-state][data-state=live]').waitFor();
  });

  it('takes the switches away where fault injection is off', async () => {
    api.faults.faultInjection = false;
    await open();
    await button('Stop server2').click();
    await page.getByTestId('fault-note').getByText('fault injection is off').waitFor();
    assert.equal(await button('Stop server2').count(), 0);
  });

  it('tells all about one task: attempts, placement, timeline, live output', async () => {
    await open();
    const { task } = api.cluster.submit({ script: 'chatty\nsleep(36000)\n' });
    await rows('running').waitFor();
    await rows().getByRole('link').first().click();
    await page.getByTestId('task-stdout').getByText('line 3').waitFor();
    assert.equal(await page.getByTestId('attempt').count(), 1);
    await page.getByTestId('placement').locator('summary').click();
    await page.getByTestId('placement').getByText('chosen').waitFor();
    assert.equal(await page.getByTestId('timeline-entry').count(), 3);
    await page.getByTestId('task-cancel').click();
    await button('Really cancel?').click();
    await page.locator('[data-testid=task-page][data-status=canceled]').waitFor();
    await page.getByTestId('task-retry').click();
    await page.waitForURL((url) => url.hash.startsWith('#/tasks/') && !url.hash.includes(task.id));
    await page.locator('[data-testid=task-page][data-status=running]').waitFor();
  });

  it('can be used by keyboard alone', async () => {
    await open();
    await page.getByTestId('payload-input').focus();
    await page.keyboard.type('print(3 + 4)');
    await page.keyboard.press('Control+Enter');
    await rows('succeeded').waitFor();
    await page.getByTestId('task-toggle').focus();
    await page.keyboard.press('Enter');
    await page.getByTestId('task-payload').getByText('print(3 + 4)').waitFor();
    assert.equal(await page.getByTestId('task-toggle').getAttribute('aria-expanded'), 'true');
  });

  it('shows the log as each server has it, and who leads, over a change of the master', async () => {
    await open();
    await page.getByRole('link', { name: 'Cluster' }).click();
    await page.locator('[data-testid=raft-server][data-server=server1][data-role=leader]').waitFor();
    assert.equal(await page.getByTestId('log-row').count(), 3);
    api.cluster.submit({ script: 'print(1)' });
    await page.getByTestId('log-entry').first().waitFor();
    api.cluster.setStopped('server1', true);
    await page.locator('[data-testid=raft-server][data-role=leader]:not([data-server=server1])').waitFor();
    await page.getByTestId('log-row').getByText('stopped').waitFor();
    await page.getByTestId('spell').nth(1).waitFor();
  });

  it('shows the lines of all nodes as they come, those of a node or a payload alone if asked', async () => {
    api.cluster.log('server1', 'Is master container');
    api.cluster.log('worker1', 'Received payload: abc123');
    await open();
    await page.getByRole('link', { name: 'Log lines' }).click();
    const lines = page.getByTestId('log-line');
    await lines.nth(1).waitFor();
    api.cluster.log('worker1', 'RAM memory /%/ used: 9.8');
    await lines.nth(2).waitFor();
    await page.getByTestId('logs-q').fill('abc123');
    await page.waitForURL((url) => url.hash === '#/logs?q=abc123');
    await lines.nth(1).waitFor({ state: 'detached' });
    assert.equal(await lines.getByRole('link').getAttribute('href'), '#/tasks/abc123');
    await page.getByTestId('logs-q').fill('');
    await page.getByTestId('logs-node').selectOption('server1');
    await lines.getByText('Is master container').waitFor();
    await page
      .locator('[data-testid=log-line]:not([data-node=server1])')
      .first()
      .waitFor({ state: 'detached' });
  });

  it('shows counts, the master and curves on the dashboard', async () => {
    api.cluster.submit({ script: 'print(1)' });
    await open();
    await page.getByRole('link', { name: 'Dashboard' }).click();
    await page.locator('[data-testid=count][data-status=succeeded][data-count="1"]').waitFor();
    await page.getByTestId('dashboard-master').getByText('server1, term 4').waitFor();
    await page.locator('[data-testid=chart][data-ready=true]').nth(2).waitFor();
    await page.getByTestId('chart').first().locator('canvas').waitFor();
    await page.locator('[data-testid=count][data-status=failed]').click();
    await page.getByTestId('tasks-empty').waitFor();
  });

  it('takes a script in the editor, keeps what was typed before it came, and names the same call for a shell', async () => {
    await page.route('**/script-editor-*.js', async (route) => {
      await typed;
      await route.continue();
    });
    let go = (): void => undefined;
    const typed = new Promise<void>((resolve) => (go = resolve));
    await open();
    await page.getByRole('link', { name: 'Submit', exact: true }).click();
    // The view before it has a field of that name, too.
    await page.getByTestId('submit-view').waitFor();
    await page.getByTestId('payload-input').pressSequentially('# first\n');
    go();
    const editor = page.getByRole('textbox', { name: 'Payload: a Python script' });
    await page.locator('[data-testid=script-editor][data-ready=true]').waitFor();
    await page.unroute('**/script-editor-*.js');
    await page.keyboard.type('print(20 + 3)');
    await editor.getByText('print(20 + 3)').waitFor();
    await page.getByTestId('call-clb').getByText('# first').waitFor();
    await page.getByTestId('call-curl').getByText('"# first\\nprint(20 + 3)"').waitFor();
    await page.keyboard.press('Control+Enter');
    await page.locator('[data-testid=send-status][data-state=sent]').waitFor();
    assert.deepEqual(
      [...api.cluster.tasks.values()].map(({ script }) => script),
      ['# first\nprint(20 + 3)'],
    );
    await page.getByTestId('call-clb').waitFor({ state: 'detached' });
    await button('Generate Payload').click();
    await editor.getByText('import time').waitFor();
  });

  it('has no accessibility faults on any view, light, dark, wide or narrow', async () => {
    api.cluster.log('server1', 'Received payload: abc123');
    const { task } = api.cluster.submit({ script: 'chatty\nsleep(36000)\n' });
    api.cluster.submit({ script: 'raise ValueError' });
    await open();
    await rows('failed').waitFor();
    const faults: string[] = [];
    for (const [colorScheme, width] of [
      ['light', 1280],
      ['dark', 390],
    ] as const) {
      // Without motion: colours are looked at as they stay, not on their way.
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 800 });
      for (const view of ['', 'submit', 'dashboard', 'cluster', 'logs', `tasks/${task.id}`]) {
        await page.goto(`${api.url}/#/${view}`);
        await page.locator('main h1, [data-testid=task-row]').first().waitFor();
        await page
          .locator(READY[view] ?? 'main')
          .first()
          .waitFor();
        for (const fault of await axeFaults(page))
          faults.push(`${view || 'payloads'}, ${colorScheme}: ${fault}`);
        const wide = await sidewaysBy(page);
        assert.ok(wide <= 0, `${view}: ${String(wide)} too wide at ${String(width)} px`);
      }
    }
    await page.emulateMedia({ colorScheme: null, reducedMotion: null });
    assert.deepEqual(faults, []);
  });

  it('fits every width from a small phone up, without scrolling sideways', async () => {
    api.cluster.submit({ script: `print("${'x'.repeat(300)}")\n${'y'.repeat(500)}`, name: 'n'.repeat(120) });
    await open();
    await rows('succeeded').waitFor();
    await page.getByTestId('task-toggle').click();
    for (const width of [360, 390, 640, 801, 1080, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = await sidewaysBy(page);
      assert.ok(wide <= 0, `${String(wide)} too wide at ${String(width)} px`);
    }
  });
});

/** What a view shows when it is complete. */
const READY: Readonly<Record<string, string>> = {
  submit: '[data-testid=script-editor][data-ready=true]',
  dashboard: '[data-testid=chart][data-ready=true]',
  cluster: '[data-testid=raft-server][data-role=leader]',
  logs: '[data-testid=log-line]',
};

function sidewaysBy(page: Page): Promise<number> {
  return page.evaluate(() => {
    const { documentElement: root } = (globalThis as unknown as { document: { documentElement: Sized } })
      .document;
    return root.scrollWidth - root.clientWidth;
  });
}

/** What is read of the document element; this project's tests are compiled without the DOM's types. */
interface Sized {
  readonly scrollWidth: number;
  readonly clientWidth: number;
}
