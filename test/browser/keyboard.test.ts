/// <reference lib="dom" />
/**
 * Goal: what docs/ui.md says of the keyboard, with real keys in a real Chromium over a real cluster: every action of every view is
 * reached by Tab, a view that was opened has the focus, and each shortcut does what the list says.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

const GO: Readonly<Record<string, readonly [hash: string, title: string]>> = {
  s: ['#/submit', 'Submit'],
  t: ['#/tasks', 'Tasks'],
  d: ['#/dashboard', 'Dashboard'],
  n: ['#/nodes', 'Nodes'],
  c: ['#/cluster', 'Cluster'],
  f: ['#/faults', 'Faults'],
  l: ['#/logs', 'Log lines'],
};

/** Of these one member of a group is reached by Tab, the others by the arrows. */
const CONTROLS =
  'a[href], button:not(:disabled), input:not([type=radio]):not(:disabled), input[type=radio]:checked, select, textarea, summary, [contenteditable=true]';

describe('the keyboard', { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 300_000 }, () => {
  let open: ClusterPage;
  let id = '';
  before(async () => {
    open = await ClusterPage.open();
    ({ id } = await open.submit({ script: 'print(6 * 7)', name: 'for the keyboard' }));
    await open.page.locator('[data-testid=task-row][data-status=succeeded]').waitFor();
  });
  after(() => open.close());
  const focused = (): Promise<string> =>
    open.page.evaluate(() => document.activeElement?.textContent.trim() ?? '');

  it('opens each view by g and its letter, and puts the focus on its title', async () => {
    const { page } = open;
    for (const [key, [hash, title]] of Object.entries(GO)) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForFunction((wanted) => location.hash === wanted, hash);
      await page.locator('h1:focus').getByText(title, { exact: true }).waitFor();
    }
    await page.keyboard.press('g');
    await page.keyboard.press('p');
    await page.getByTestId('payload-input').waitFor();
    await open.show(`#/tasks/${id}`);
    await page.locator('h1:focus').waitFor();
    assert.equal(await focused(), `Payload ${id}`);
  });

  it('goes to the search by /, and leaves letters alone where something is typed', async () => {
    const { page } = open;
    for (const [hash, search] of [
      ['#/tasks', 'task-search'],
      ['#/logs', 'logs-q'],
      [`#/tasks/${id}`, 'output-filter'],
      ['#/', 'task-search'],
    ] as const) {
      await open.show(hash);
      await page.getByTestId(search).waitFor();
      await page.evaluate(() => {
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
      });
      await page.keyboard.press('/');
      await page.locator(`[data-testid=${search}]:focus`).waitFor();
    }
    await page.keyboard.type('gt?/');
    assert.equal(await page.getByTestId('task-search').inputValue(), 'gt?/');
    assert.equal(await page.getByTestId('shortcuts-dialog').isVisible(), false);
    await page.getByTestId('task-search').fill('');
    await page.waitForFunction(() => location.hash === '#/');
  });

  it('loses no letter of a search that is typed as soon as the view is there', async () => {
    const { page } = open;
    await open.show('#/tasks');
    await open.show('#/logs');
    await page.getByTestId('logs-q').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('master');
    await page.waitForFunction(() => location.hash.endsWith('q=master'));
    assert.equal(await page.getByTestId('logs-q').inputValue(), 'master');
  });

  it('lists the shortcuts by ?, and gives the focus back afterwards', async () => {
    const { page } = open;
    await page.getByTestId('shortcuts').focus();
    await page.keyboard.press('?');
    const dialog = page.getByTestId('shortcuts-dialog');
    await dialog.getByText('Keyboard shortcuts').waitFor();
    for (const [, title] of Object.values(GO)) await dialog.getByText(title, { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await dialog.getByText('Keyboard shortcuts').waitFor({ state: 'detached' });
    await page.locator('[data-testid=shortcuts]:focus').waitFor();
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Close' }).press('Enter');
    await dialog.waitFor({ state: 'hidden' });
  });

  it('sends by Ctrl + Enter from the field and from the editor, which Tab leaves', async () => {
    const { page } = open;
    await open.show('#/');
    await page.getByTestId('payload-input').focus();
    await page.keyboard.type('print("by keys")');
    await page.keyboard.press('Control+Enter');
    await page.getByTestId('task-result').getByText('by keys').waitFor();
    await open.show('#/submit');
    await page.locator('[data-testid=script-editor][data-ready=true]').waitFor();
    await page.getByRole('textbox', { name: 'Payload: a Python script' }).focus();
    await page.keyboard.type('print("in the editor")');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Generate Payload');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Control+Enter');
    await page.locator('[data-testid=send-status][data-state=sent]').waitFor();
  });

  it('reaches every action of every view by Tab', async () => {
    const { page } = open;
    const views = ['', 'submit', 'tasks', `tasks/${id}`, 'dashboard', 'nodes', 'cluster', 'faults', 'logs'];
    const ready: Readonly<Record<string, string>> = {
      submit: '[data-testid=script-editor][data-ready=true]',
      cluster: '[data-testid=travel-state]',
      [`tasks/${id}`]: '[data-testid=attempt]',
    };
    for (const view of views) {
      await open.show(`#/${view}`);
      await page
        .locator(ready[view] ?? 'main a, main button')
        .first()
        .waitFor();
      const count = await page.evaluate((selector) => {
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
        window.getSelection()?.removeAllRanges();
        const shown = [...document.querySelectorAll(selector)].filter((each) =>
          each.checkVisibility({ visibilityProperty: true }),
        );
        for (const each of shown) each.setAttribute('data-unreached', '');
        document.addEventListener('focusin', (event) => {
          if (event.target instanceof Element) event.target.removeAttribute('data-unreached');
        });
        document.querySelector<HTMLElement>('.brand')?.focus();
        return shown.length;
      }, CONTROLS);
      assert.ok(count > 10, `${view}: ${count} controls`);
      // Regions that scroll are stops as well.
      for (let stop = 0; stop < count + 60; stop += 1) {
        await page.keyboard.press('Tab');
        const left = await page.locator('[data-unreached]').count();
        if (left === 0) break;
      }
      const left = await page
        .locator('[data-unreached]')
        .evaluateAll((unreached) => unreached.map((each) => each.outerHTML.slice(0, 120)));
      assert.deepEqual(left, [], view);
    }
    assert.equal(open.loads, 1);
    assert.deepEqual(open.problems, []);
  });
});
