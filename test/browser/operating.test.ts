/// <reference lib="dom" />
/**
 * Goal: the views for who operates the cluster, in a real Chromium against a real one, over a change of the master: nodes,
 * dashboard, the log and the state at any of its entries, faults and what followed, log lines, keys. Each without faults by axe,
 * on a phone without scrolling sideways.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
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
      for (let sent = 0; sent < 15; sent += 1) await open.submit({ command: ['true'] });
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
      await page.getByTestId('travel-now').click();
      await page.getByTestId('entries-older').click();
      assert.deepEqual(await axeFaults(page), []);
      await open.picture('cluster');
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
