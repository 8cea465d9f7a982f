/// <reference lib="dom" />
/**
 * Goal: the views for who operates the cluster, in a real Chromium against a real one, over a change of the master: nodes,
 * dashboard, the log and the state at any of its entries, faults and what followed, log lines, keys; every button there is pressed.
 * Each without faults by axe, on a phone without scrolling sideways.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TaskPage, TaskView } from '../../src/api/tasks.ts';
import type { NodeView, StateView } from '../../src/api/views.ts';
import { axeFaults } from '../web-ui/axe.ts';
import { eventually } from '../cluster/processes.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

describe(
  'the views of the cluster',
  { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 240_000 },
  () => {
    let open: ClusterPage;
    before(async () => {
      open = await ClusterPage.open();
    });
    after(() => open.close());
    const nodes = async (): Promise<readonly NodeView[]> =>
      (await open.cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes')).nodes;

    it('drains a node and takes it back', async () => {
      const { page } = open;
      await open.show('#/nodes');
      const card = page.locator('[data-testid=node][data-node=worker1]');
      await card.getByTestId('node-drain').click();
      await page.locator('[data-testid=node][data-node=worker1][data-status=draining]').waitFor();
      assert.equal((await nodes()).find(({ id }) => id === 'worker1')?.status, 'draining');
      await card.getByTestId('node-undrain').click();
      await page.locator('[data-testid=node][data-node=worker1][data-status=ready]').waitFor();
      assert.deepEqual(await axeFaults(page), []);
    });

    it('stops a node on the view of the nodes, and starts it again', async () => {
      const { page } = open;
      const card = page.locator('[data-testid=nodes-view] [data-testid=node][data-node=worker1]');
      const phase = (name: string): Promise<void> =>
        page.locator(`[data-testid=node][data-node=worker1][data-phase=${name}]`).waitFor();
      await card.getByTestId('node-stop').click();
      await phase('stopped');
      assert.equal((await nodes()).find(({ id }) => id === 'worker1')?.status, 'down');
      assert.equal(await card.getByTestId('node-drain').count(), 0, 'nothing to drain');
      await card.getByTestId('node-start').click();
      await phase('up');
      assert.equal((await nodes()).find(({ id }) => id === 'worker1')?.status, 'ready');
    });

    it('runs the recovery that the original did not have, and tells all of it on one line of time', async () => {
      const { page, cluster } = open;
      await open.show('#/faults');
      const master = await cluster.master();
      await page.getByTestId('scenario-master-between').click();
      await page.locator('[data-testid=scenario]:not([data-state=running])').waitFor({ timeout: 90_000 });
      const told = await page.getByTestId('scenario').innerText();
      assert.equal(await page.getByTestId('scenario').getAttribute('data-state'), 'passed', told);
      assert.match(told, /42 from/);
      assert.notEqual(await cluster.master(), master);
      for (const [kind, node] of [
        ['injected', master],
        ['acted', await cluster.master()],
        ['healed', master],
      ]) {
        await page
          .locator(`[data-testid=fault-item][data-kind=${kind}][data-node=${node}]`)
          .first()
          .waitFor();
      }
      assert.deepEqual(await axeFaults(page), []);
      await open.picture('faults');
    });

    it('stops a worker on the view of the faults, and starts it again', async () => {
      const { page } = open;
      const row = page.locator('[data-testid=fault-node][data-node=worker1]');
      await row.getByTestId('fault-stop').click();
      await page.locator('[data-testid=fault-node][data-node=worker1][data-phase=stopped]').waitFor();
      assert.equal(await row.getByTestId('fault-freeze').isDisabled(), true);
      assert.equal(await row.getByTestId('fault-cut').isDisabled(), true);
      await row.getByTestId('fault-start').click();
      await page.locator('[data-testid=fault-node][data-node=worker1][data-phase=up]').waitFor();
      for (const text of ['stopped: silent as after a crash', 'started again, from its disk']) {
        await page
          .locator('[data-testid=fault-item][data-node=worker1]')
          .filter({ hasText: text })
          .first()
          .waitFor();
      }
    });

    it('stops the master at its next assignment, and another one places the payload', async () => {
      const { page, cluster } = open;
      const master = await cluster.master();
      const row = page.locator(`[data-testid=fault-node][data-node=${master}]`);
      await row.getByTestId('fault-arm').waitFor();
      assert.equal(await page.getByTestId('fault-arm').count(), 1, 'only the master can be armed');
      await row.getByTestId('fault-arm').click();
      await row.getByText('armed for 30 s').waitFor();
      const { id } = await open.submit({ script: 'print(6 * 7)', name: 'not by the first' });
      await page
        .locator(`[data-testid=master]:not([data-master=${master}]):not([data-master=""])`)
        .waitFor({ timeout: 60_000 });
      const task = await eventually('it ran under the next master', async () => {
        const seen = await cluster.getAny<TaskView>(`/v1/tasks/${id}`);
        return seen.status === 'succeeded' ? seen : null;
      });
      assert.equal(task.attempts.length, 1, 'the first master had told nobody');
      await page
        .locator(`[data-testid=fault-item][data-kind=injected][data-node=${master}]`)
        .filter({ hasText: 'stop-at-assignment' })
        .first()
        .waitFor();
      await row.getByTestId('fault-start').click();
      await page.locator(`[data-testid=fault-node][data-node=${master}][data-phase=up]`).waitFor();
      await cluster.whenReady();
    });

    it('freezes a worker, which says nothing until it thaws by itself', async () => {
      const { page } = open;
      await page.getByTestId('fault-seconds').selectOption('5');
      const row = page.locator('[data-testid=fault-node][data-node=worker1]');
      await row.getByTestId('fault-freeze').click();
      await row.getByText('frozen for 5 s').waitFor();
      await page.locator('[data-testid=fault-node][data-node=worker1][data-phase=away]').waitFor();
      await page.locator('[data-testid=fault-node][data-node=worker1][data-phase=up]').waitFor();
      await page
        .locator('[data-testid=fault-item][data-node=worker1]')
        .filter({ hasText: 'freeze is over' })
        .waitFor();
    });

    it('cuts a worker off, which pauses and comes back by itself', async () => {
      const { page } = open;
      await page.getByTestId('fault-seconds').selectOption('5');
      await page.locator('[data-testid=fault-node][data-node=worker1]').getByTestId('fault-cut').click();
      await eventually('it is not heard', async () =>
        (await nodes()).some(({ id, status }) => id === 'worker1' && status !== 'ready'),
      );
      await eventually('it is back', async () =>
        (await nodes()).some(({ id, status }) => id === 'worker1' && status === 'ready'),
      );
      await page.locator('[data-testid=fault-item]').filter({ hasText: 'cut-off is over' }).waitFor();
    });

    it('freezes the master: another takes over, and the page goes on without a reload', async () => {
      const { page, cluster } = open;
      const master = await cluster.master();
      await page.locator(`[data-testid=fault-node][data-node=${master}]`).getByTestId('fault-freeze').click();
      const next = await eventually('another master', async () => {
        const leader = (await nodes()).find((node) => node.leader)?.id;
        return leader !== undefined && leader !== master ? leader : null;
      });
      await page.locator(`[data-testid=master][data-master=${next}]`).waitFor();
      await page.locator('[data-testid=link-state][data-state=live]').waitFor({ timeout: 30_000 });
    });

    it('shows the log entry by entry, and tasks and nodes as they were at any of them', async () => {
      const { page, cluster } = open;
      // One entry each at least: more than two pages of the log.
      for (let sent = 0; sent < 60; sent += 1) await open.submit({ command: ['true'] });
      await open.show('#/cluster');
      await page.locator('[data-testid=raft-server][data-role=leader]').waitFor();
      await page.getByTestId('log-entry').first().locator('summary').click();
      const master = await cluster.master();
      const now = await cluster.get<StateView>(master, '/v1/state');
      const at = now.firstIndex + Math.floor((now.lastIndex - now.firstIndex) / 2);
      const then = await cluster.get<StateView>(master, `/v1/state?at=${at}&limit=20`);
      await page.getByTestId('travel-range').fill(String(at));
      await page.locator(`[data-testid=travel-state][data-at="${at}"]`).waitFor();
      const shown = await page
        .getByTestId('travel-node')
        .evaluateAll((items) =>
          items.map((item) => `${item.getAttribute('data-node')} ${item.getAttribute('data-status')}`),
        );
      assert.deepEqual(
        shown,
        then.nodes.map(({ id, status }) => `${id} ${status}`),
      );
      assert.equal(await page.getByTestId('travel-task').count(), then.tasks.length);
      await page.getByRole('button', { name: 'One entry back' }).click();
      await page.locator(`[data-testid=travel-state][data-at="${at - 1}"]`).waitFor();
      await page.getByRole('button', { name: 'One entry on' }).click();
      await page.locator(`[data-testid=travel-state][data-at="${at}"]`).waitFor();
      await page.getByTestId('travel-now').click();
      await page.locator(`[data-testid=travel-state]:not([data-at="${at}"])`).waitFor();
      assert.equal(await page.getByTestId('travel-now').isDisabled(), true, 'it is now');
      await page.getByTestId('entries-older').click();
      assert.deepEqual(await axeFaults(page), []);
      await open.picture('cluster');
    });

    it('turns the pages of the log back and forth', async () => {
      const { page } = open;
      const foot = page.getByRole('navigation', { name: 'Pages of the log' });
      const newest = foot.getByRole('button', { name: 'Newest' });
      const newer = foot.getByRole('button', { name: 'Newer' });
      const top = async (): Promise<number> =>
        Number(await page.getByTestId('log-entry').first().getAttribute('data-index'));
      const turned = (what: string, to: (index: number) => boolean): Promise<number> =>
        eventually(what, async () => {
          const index = await top();
          return to(index) ? index : null;
        });
      const second = await top();
      await page.getByTestId('entries-older').click();
      const third = await turned('an older page', (index) => index < second);
      assert.equal(third, second - 25);
      await newer.click();
      await turned('the page before', (index) => index === second);
      await newest.click();
      await turned('the newest page', (index) => index > second);
      assert.deepEqual([await newest.isDisabled(), await newer.isDisabled()], [true, true]);
      const entry = page.getByTestId('log-entry').first();
      await entry.locator('summary').click();
      await entry.locator('.entry-data').waitFor();
    });

    it('leads from the numbers of the dashboard to what they count', async () => {
      const { page, cluster } = open;
      await open.show('#/dashboard');
      const master = await cluster.master();
      await page.getByTestId('dashboard-master').getByRole('link', { name: master }).click();
      await page.locator(`[data-testid=raft-server][data-server=${master}][data-role=leader]`).waitFor();
      await page.getByRole('link', { name: 'Dashboard' }).click();
      await page.getByTestId('load-row').first().waitFor();
      assert.equal(await page.getByTestId('load-row').count(), (await nodes()).length);
      const tile = page.locator('[data-testid=count][data-status=succeeded]');
      // What the tests before have sent may still run.
      const { counts } = await cluster.getAny<TaskPage>('/v1/tasks?limit=1');
      assert.ok(counts.succeeded > 0, 'something has succeeded');
      await page.waitForFunction(
        (least) =>
          Number(
            document.querySelector('[data-testid=count][data-status=succeeded]')?.getAttribute('data-count'),
          ) >= least,
        counts.succeeded,
      );
      await tile.click();
      await page.waitForFunction(() => location.hash === '#/tasks?status=succeeded');
      await page.locator('[data-testid=grid-row][data-status=succeeded]').first().waitFor();
    });

    it('shows the lines of one node, holds still when asked to, and leads from a line to its payload', async () => {
      const { page } = open;
      await open.show('#/logs');
      await page.locator('[data-testid=log-line][data-node=client]').first().waitFor();
      await page.getByTestId('logs-node').selectOption('worker1');
      await page.waitForFunction(() => location.hash === '#/logs?node=worker1');
      await page
        .locator('[data-testid=log-line]:not([data-node=worker1])')
        .first()
        .waitFor({ state: 'detached' });
      await page.getByTestId('logs-node').selectOption('');
      await page.locator('[data-testid=log-line][data-node=client]').first().waitFor();
      const follow = page.getByRole('checkbox', { name: 'Follow' });
      const scrolled = (): Promise<number> =>
        page.getByRole('log').evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
      await eventually('it follows the end', async () => (await scrolled()) < 2);
      await page.getByRole('log').evaluate((box) => box.scrollTo(0, 0));
      await page.waitForFunction(
        () => document.querySelector<HTMLInputElement>('.logs-follow input')?.checked === false,
      );
      const { id } = await open.submit({ script: 'print("seen in the lines")' });
      await page
        .getByTestId('log-line')
        .filter({ hasText: `Received result: ${id}` })
        .first()
        .waitFor({ state: 'attached' });
      assert.ok((await scrolled()) > 2, 'new lines move nothing');
      await follow.check();
      await eventually('it follows again', async () => (await scrolled()) < 2);
      await page.getByTestId('logs-q').fill(id);
      await page.waitForFunction((hash) => location.hash === `#/logs?q=${hash}`, id);
      await page.getByTestId('log-line').getByRole('link', { name: id }).first().click();
      await page.locator('[data-testid=task-page][data-status=succeeded]').waitFor();
      assert.equal(new URL(page.url()).hash, `#/tasks/${id}`);
    });

    it('has lines, curves and keys, and fits a phone in the dark', async () => {
      const { page } = open;
      await page.keyboard.press('g');
      await page.keyboard.press('l');
      await page.getByTestId('log-line').first().waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type('CRASH');
      await page.getByTestId('log-line').filter({ hasText: 'CRASH' }).first().waitFor();
      await page.keyboard.press('Escape');
      await page.locator('h1').first().click();
      await page.keyboard.press('?');
      await page.getByTestId('shortcuts-dialog').getByText('Keyboard shortcuts').waitFor();
      assert.deepEqual(await axeFaults(page), []);
      await page.keyboard.press('Escape');
      await open.show('#/dashboard');
      await page.locator('[data-testid=chart][data-ready=true]').first().waitFor();
      assert.deepEqual(await axeFaults(page), []);
      await page.setViewportSize({ width: 390, height: 844 });
      await page.emulateMedia({ colorScheme: 'dark' });
      for (const view of ['', 'tasks', 'submit', 'dashboard', 'nodes', 'cluster', 'faults', 'logs']) {
        await open.show(`#/${view}`);
        await page.locator('h1').first().waitFor({ state: 'attached' });
        await open.fits();
        assert.deepEqual(await axeFaults(page), [], view);
        await open.picture(`phone-${view === '' ? 'home' : view}`);
      }
      assert.equal(open.loads, 1);
      assert.deepEqual(open.problems, []);
    });
  },
);
