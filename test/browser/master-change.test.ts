/// <reference lib="dom" />
/**
 * Goal: every view of the page in a real Chromium over the loss of the master, without a reload: nine pages, one on each view, of a
 * real cluster whose master is killed while a payload runs. Each names the next one and shows what happens under it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import type { RaftView } from '../../src/api/views.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

/** For the election, and for nine pages on two cores. */
const TAKE_OVER_MS_MAX = 60_000;

const VIEWS = ['home', 'submit', 'tasks', 'task', 'dashboard', 'nodes', 'cluster', 'faults', 'logs'] as const;
type View = (typeof VIEWS)[number];

describe(
  'a change of the master in the middle',
  { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 300_000 },
  () => {
    let open: ClusterPage;
    const pages = new Map<View, Page>();
    const on = (view: View): Page => pages.get(view)!;
    let id = '';
    let letGo = (): void => undefined;
    let killed = '';
    let next = '';
    let term = 0;

    before(async () => {
      open = await ClusterPage.open();
      const held = open.heldScript('under the next master');
      letGo = held.letGo;
      ({ id } = await open.submit({ script: held.script, name: 'held over the change' }));
      for (const view of VIEWS) {
        const path = view === 'home' ? '' : view === 'task' ? `tasks/${id}` : view;
        const page = await open.another(`#/${path}`);
        page.setDefaultTimeout(TAKE_OVER_MS_MAX);
        await page.locator('[data-testid=link-state][data-state=live]').waitFor();
        pages.set(view, page);
      }
      await on('task').getByTestId('task-stdout').filter({ hasText: 'held' }).waitFor();
      await on('submit').locator('[data-testid=script-editor][data-ready=true]').waitFor();
      await on('cluster').locator('[data-testid=raft-server][data-role=leader]').waitFor();
      await on('logs').getByTestId('log-line').first().waitFor();
      await on('dashboard').locator('[data-testid=count][data-status=running][data-count="1"]').waitFor();

      killed = await open.killMaster();
      next = await open.cluster.master();
      ({ term } = await open.cluster.get<RaftView>(next, '/v1/raft'));
      letGo();
    });
    after(() => open.close());

    for (const view of VIEWS) {
      it(`${view}: names the next master, and is live`, async () => {
        const page = on(view);
        await page
          .locator(`[data-testid=master][data-master=${next}][data-term="${term}"]`)
          .waitFor({ timeout: TAKE_OVER_MS_MAX });
        await page.locator('[data-testid=link-state][data-state=live]').waitFor();
      });
    }

    it('home: shows the end of the payload that was running', async () => {
      const row = on('home').locator(`[data-testid=task-row][data-task-id="${id}"][data-status=succeeded]`);
      await row.getByTestId('task-result').getByText('held').waitFor();
    });

    it('tasks: so does the table', async () => {
      const row = `[data-testid=grid-row][data-task-id="${id}"][data-status=succeeded]`;
      await on('tasks').locator(row).waitFor();
    });

    it('task: goes on with the output, and marks the change', async () => {
      await on('task').locator('[data-testid=task-page][data-status=succeeded]').waitFor();
      await on('task').getByTestId('task-stdout').filter({ hasText: 'under the next master' }).waitFor();
      await on('task').getByTestId('timeline').getByText(`A new master took over: term ${term}`).waitFor();
    });

    it('dashboard: counts on, and names who leads', async () => {
      const page = on('dashboard');
      await page.locator('[data-testid=count][data-status=succeeded][data-count="1"]').waitFor();
      await page.getByTestId('dashboard-master').getByText(`${next}, term ${term}`).waitFor();
    });

    it('nodes: crowns the next one, and misses the killed one', async () => {
      const page = on('nodes');
      await page.locator(`[data-testid=node][data-node=${next}][data-master=true]`).waitFor();
      await page.locator(`[data-testid=node][data-node=${killed}][data-phase=away]`).waitFor();
    });

    it('cluster: shows the new term, the server that is away, and the election', async () => {
      const page = on('cluster');
      await page.locator(`[data-testid=raft-server][data-server=${next}][data-role=leader]`).waitFor();
      await page.locator(`[data-testid=spell][data-term="${term}"]`).getByText(next).waitFor();
      const row = page.locator(`[data-testid=log-row][data-server=${killed}]`);
      await row.getByText('does not answer').waitFor();
    });

    it('faults: tells who was elected', async () => {
      await on('faults')
        .locator(`[data-testid=fault-item][data-kind=acted][data-node=${next}]`)
        .filter({ hasText: `elected master in term ${term}` })
        .waitFor();
    });

    it('logs: has the line of the next master', async () => {
      await on('logs')
        .locator(`[data-testid=log-line][data-node=${next}]`)
        .filter({ hasText: 'Is master container' })
        .last()
        .waitFor();
    });

    it('submit: sends to the next one', async () => {
      const page = on('submit');
      await page.getByRole('button', { name: 'Generate Payload' }).click();
      await page.getByRole('button', { name: 'Send Payload' }).click();
      await page.locator('[data-testid=send-status][data-state=sent]').waitFor();
    });

    it('all of them without a reload, and without anything that went wrong in a page', () => {
      assert.equal(open.loads, 1 + VIEWS.length);
      assert.deepEqual(open.problems, []);
    });
  },
);
