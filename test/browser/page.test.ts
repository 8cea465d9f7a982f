/// <reference lib="dom" />
/**
 * Goal: the page in a real Chromium against a real cluster: generate, send, watch the result arrive with no reload; stop the
 * master through its page while a payload is in flight and see it finish; send again. Needs Debian's chromium; says so
 * loudly where there is none, and counts as skipped. CLB_SCREENSHOTS=FOLDER keeps pictures of what it saw.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import type { NodeView } from '../../src/api/views.ts';
import { axeFaults } from '../web-ui/axe.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

const SHORT_PAYLOAD = 'import time\ntime.sleep(1)\nprint(20 + 22)\n';
const LONGER_PAYLOAD = 'import time\ntime.sleep(6)\nprint("still here")\n';

describe('the page', { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 400_000 }, () => {
  let open: ClusterPage;
  let page: Page;
  before(async () => {
    open = await ClusterPage.open();
    page = open.page;
  });
  after(() => open.close());

  const send = async (payload: string): Promise<void> => {
    await page.getByRole('button', { name: 'Generate Payload' }).click();
    const editor = page.getByTestId('payload-input');
    assert.match(await editor.inputValue(), /import time/, 'the generated payload');
    await editor.fill(payload);
    await page.getByRole('button', { name: 'Send Payload' }).click();
    await page.waitForFunction(() => document.querySelector('textarea')?.value === '');
  };
  /** In the row's result, not in the payload's preview beside it. */
  const resultShown = (text: string): Promise<void> =>
    page
      .getByTestId('task-result')
      .filter({ hasText: text })
      .first()
      .waitFor({ state: 'visible', timeout: 60_000 });

  it('generates, sends, and shows the result by itself', async () => {
    await send(SHORT_PAYLOAD);
    await resultShown('42');
    await page
      .getByText(/succeeded/i)
      .first()
      .waitFor({ state: 'visible' });
    await open.picture('1-result');
  });

  it('survives the master being stopped through the page with a payload in flight', async () => {
    await send(LONGER_PAYLOAD);
    await page
      .getByText(/running/i)
      .first()
      .waitFor({ state: 'visible' });
    const { nodes } = await open.cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
    const master = nodes.find((node) => node.leader)!.id;
    await page.locator(`[data-testid=node][data-node="${master}"]`).getByTestId('node-stop').click();
    await page
      .locator(`[data-node="${master}"]`)
      .getByRole('button', { name: /start/i })
      .waitFor({ state: 'visible' });
    await open.picture('2-master-stopped');
    await resultShown('still here');
    await open.picture('3-finished-anyway');
  });

  it('takes the next payload, and the stopped node back', async () => {
    await send(SHORT_PAYLOAD.replace('20 + 22', '50 + 27'));
    await resultShown('77');
    await page
      .getByRole('button', { name: /^start/i })
      .first()
      .click();
    await page.waitForFunction(() =>
      [...document.querySelectorAll('button')].every((button) => !/^start/i.test(button.textContent)),
    );
    await open.picture('4-all-back');
  });

  it('shows the servers, the lines, the curves and the editor, with no accessibility faults', async () => {
    const views = [
      ['Cluster', '[data-testid=raft-server][data-role=leader]'],
      ['Log lines', '[data-testid=log-line]'],
      ['Dashboard', '[data-testid=chart][data-ready=true]'],
      ['Submit', '[data-testid=script-editor][data-ready=true]'],
      ['Payloads', '[data-testid=task-row]'],
    ] as const;
    for (const [name, ready] of views) {
      await page.getByRole('link', { name, exact: true }).click();
      await page.locator(ready).first().waitFor({ state: 'visible', timeout: 60_000 });
      assert.deepEqual(await axeFaults(page), [], name);
      await open.picture(`view-${name.toLowerCase().replace(' ', '-')}`);
    }
  });

  it('needed no reload, threw nothing, and fits a phone in the dark', async () => {
    assert.equal(open.loads, 1);
    assert.deepEqual(open.problems, []);
    await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: 'dark' });
    const overflow = await open.overflow();
    assert.ok(overflow <= 0, `scrolls sideways by ${overflow} px`);
    await open.picture('5-phone-dark');
  });
});
