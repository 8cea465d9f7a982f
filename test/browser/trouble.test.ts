/// <reference lib="dom" />
/**
 * Goal: what the page says and lets one do while something is away, in a real Chromium against a real cluster: no majority, no
 * client node, no database; and where the cluster asks for a token or lets nobody inject faults.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PlannedNode } from '../../src/node/up/plan.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

const skip = CHROMIUM === undefined ? 'no chromium' : false;
const RECOVERED_MS_MAX = 60_000;

describe('the page while something is away', { skip, timeout: 300_000 }, () => {
  let open: ClusterPage;
  before(async () => {
    open = await ClusterPage.open();
    open.page.setDefaultTimeout(RECOVERED_MS_MAX);
  });
  after(() => open.close());
  const live = (): Promise<void> =>
    open.page.locator('[data-testid=link-state][data-state=live]').waitFor({ timeout: RECOVERED_MS_MAX });

  it('says that nothing is accepted without a majority, stops trying when told to, and sends later', async () => {
    const { page, cluster } = open;
    await live();
    await page.getByTestId('payload-input').fill('print("sent once")');
    const away = cluster.serverIds.slice(0, 2);
    for (const id of away) await cluster.signal(id, 'SIGKILL');
    await page.getByTestId('banner-stale').getByText('No majority of the servers').waitFor();
    await page.locator('[data-testid=master][data-master=""]').waitFor();
    await page.getByRole('button', { name: 'Send Payload' }).click();
    await page.getByTestId('send-status').getByText('Not accepted yet, trying again').waitFor();
    await page.getByTestId('send-status').getByRole('button', { name: 'Stop trying' }).click();
    await page.getByTestId('send-problem').waitFor();
    assert.equal(await page.getByTestId('payload-input').inputValue(), 'print("sent once")', 'it is kept');
    for (const id of away) cluster.startNode(id);
    await page.getByTestId('banner-stale').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Send Payload' }).click();
    await page.locator('[data-testid=send-status][data-state=sent]').waitFor();
    await page.getByTestId('task-result').getByText('sent once').waitFor();
    assert.equal((await cluster.allTasks()).length, 1);
    await cluster.whenReady();
  });

  it('says that the client node does not answer, and catches up by itself when it does', async () => {
    const { page, cluster } = open;
    await live();
    await cluster.signal('client', 'SIGKILL');
    await page.locator('[data-testid=link-state][data-state=reconnecting]').waitFor();
    await page.getByTestId('banner-cut-off').getByText('The client node does not answer.').waitFor();
    await page.locator('[data-testid=link-state][data-state=cut-off]').waitFor();
    const { body } = await cluster.request<{ id: string }>('server1', 'POST', '/v1/tasks', {
      script: 'print("sent meanwhile")',
    });
    cluster.startNode('client');
    await live();
    await page.getByTestId('banner-cut-off').waitFor({ state: 'detached' });
    await page
      .locator(`[data-testid=task-row][data-task-id="${body.id}"][data-status=succeeded]`)
      .getByTestId('task-result')
      .getByText('sent meanwhile')
      .waitFor();
  });

  it('says that the lines cannot be read without the database, and goes on with them when it is back', async () => {
    const { page, cluster } = open;
    await open.show('#/logs');
    await page.getByTestId('log-line').first().waitFor();
    await cluster.signal('database', 'SIGKILL');
    await page.getByTestId('logs-problem').getByText('cannot be read just now').waitFor();
    assert.ok((await page.getByTestId('log-line').count()) > 0, 'what was read stays');
    cluster.startNode('database');
    await page.getByTestId('logs-problem').waitFor({ state: 'detached' });
    const { id } = await open.submit({ script: 'print("after the outage")' });
    await page
      .getByTestId('log-line')
      .filter({ hasText: `Received result: ${id}` })
      .first()
      .waitFor({ state: 'attached' });
  });

  it('all of it without a reload, and without anything that went wrong in the page', () => {
    assert.equal(open.loads, 1);
    assert.deepEqual(open.problems, []);
  });
});

describe('the page of a guarded cluster', { skip, timeout: 120_000 }, () => {
  const token = 'open-sesame';
  let open: ClusterPage;
  before(async () => {
    const args = (node: PlannedNode) => node.args.filter((word) => word !== '--fault-injection');
    open = await ClusterPage.open({ change: (node) => ({ ...node, args: args(node) }) });
  });
  after(() => open.close());

  it('asks for the token once there is one, takes no wrong one, and stays signed in over a reload', async () => {
    const { page, cluster } = open;
    await page.locator('[data-testid=link-state][data-state=live]').waitFor();
    await cluster.signal('client', 'SIGKILL');
    const client = cluster.node('client');
    cluster.nodes[cluster.nodes.indexOf(client)] = { ...client, args: ['--token', token, ...client.args] };
    cluster.startNode('client');
    await page.getByTestId('sign-in').waitFor({ timeout: RECOVERED_MS_MAX });
    await page.getByLabel('Token').fill('something-else');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('This is not the token of this cluster.').waitFor();
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator('[data-testid=link-state][data-state=live]').waitFor();
    await page.reload();
    await page.locator('[data-testid=link-state][data-state=live]').waitFor();
    assert.equal(await page.getByTestId('sign-in').count(), 0);
    assert.deepEqual(open.problems, []);
  });

  it('says why no fault can be injected, on both views, and takes the switches away', async () => {
    const { page } = open;
    await open.show('#/faults');
    await page.locator('[data-testid=fault-node][data-node=worker1]').getByTestId('fault-stop').click();
    await page.getByTestId('faults-off').getByText('fault injection is off').waitFor();
    await open.show('#/nodes');
    await page.getByTestId('fault-note').getByText('Nodes cannot be stopped from here').waitFor();
    await page.locator('[data-testid=node][data-node=worker1][data-phase=up]').waitFor();
    assert.equal(await page.getByTestId('node-stop').count(), 0);
  });
});
