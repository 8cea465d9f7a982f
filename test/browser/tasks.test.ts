/// <reference lib="dom" />
/**
 * Goal: the views of tasks in a real Chromium against a real cluster: the table with its tabs, address and bulk actions, the
 * page of one task over the loss of its node, and the form with every option.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { axeFaults } from '../web-ui/axe.ts';
import { eventually } from '../cluster/processes.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

describe(
  'the views of tasks',
  { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 240_000 },
  () => {
    let open: ClusterPage;
    before(async () => {
      open = await ClusterPage.open();
    });
    after(() => open.close());

    it('lists tasks in pages, by status and search in the address, and cancels and retries many at once', async () => {
      const { page, cluster } = open;
      const tasks = Array.from({ length: 230 }, (_, at) => ({
        ...{ command: ['true'], name: `sweep ${at}` },
        ...(at < 120 ? { constraints: { gpu: 'none-has-one' } } : {}),
      }));
      const batch = await cluster.request('client', 'POST', '/v1/tasks/batch', { tasks });
      assert.equal(batch.status, 200);
      await open.show('#/tasks?status=queued');
      // Until those that can be placed have run, the pages of what is queued still move.
      await page.waitForFunction(
        () => document.querySelector('[data-testid=tab-queued] .tab-count')?.textContent === '120',
        null,
        { timeout: 60_000 },
      );
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=grid-row]').length === 100);
      await page.getByTestId('page-older').click();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=grid-row]').length === 20);
      assert.match(page.url(), /status=queued&cursor=\d+/);
      await page.goBack();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=grid-row]').length === 100);
      assert.deepEqual(await axeFaults(page), []);

      await page.getByTestId('grid-row').first().getByRole('checkbox').check();
      await page.getByTestId('bulk-cancel').click();
      await page.getByTestId('bulk-yes').click();
      await page.locator('[data-testid=bulk-progress][data-state=over]').waitFor();
      assert.equal(await page.getByTestId('bulk-progress').getAttribute('data-done'), '1');
      await page.getByTestId('bulk-dismiss').click();
      await page.getByTestId('bulk-all').click();
      await page.getByTestId('bulk-yes').click();
      await page.locator('[data-testid=bulk-progress][data-state=over]').waitFor({ timeout: 60_000 });
      assert.equal(await page.getByTestId('bulk-progress').getAttribute('data-done'), '119');
      await open.picture('tasks-bulk');
      await page.getByTestId('bulk-dismiss').click();

      await page.getByTestId('tab-canceled').click();
      await page.waitForFunction(() => location.hash === '#/tasks?status=canceled');
      await page.getByTestId('task-search').fill('sweep 11');
      await page.waitForFunction(() => location.hash === '#/tasks?status=canceled&q=sweep+11');
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=grid-row]').length === 11);
    });

    it('shows the life of a task whose node is lost, its lines, its JSON, and takes it into the form', async () => {
      const { page, cluster } = open;
      const script =
        'import time, sys\nfor i in range(70):\n    print("line", i)\n    sys.stdout.flush()\n    time.sleep(0.1)\n' +
        'open("out.txt", "w").write("kept")\n';
      const sent = await open.submit({
        script,
        name: 'long one',
        labels: { team: 'blue' },
        collect: ['*.txt'],
      });
      await open.show(`#/tasks/${sent.id}`);
      await page
        .locator('[data-testid=task-stdout]')
        .filter({ hasText: 'line 3' })
        .waitFor({ timeout: 30_000 });
      await page.getByTestId('output-filter').fill('line 1');
      await page.waitForFunction(() => {
        const text = document.querySelector('[data-testid=task-stdout]')?.textContent ?? '';
        return text.includes('line 1') && !text.includes('line 2');
      });
      await page.getByTestId('output-filter').fill('');
      const running = await cluster.getAny<{ attempts: { node: string }[] }>(`/v1/tasks/${sent.id}`);
      const lost = running.attempts[0]!.node;
      await cluster.killWithLauncher(lost);
      await page.waitForFunction(
        () => document.querySelectorAll('[data-testid=lane-bar]').length === 2,
        null,
        {
          timeout: 60_000,
        },
      );
      cluster.startNode(lost);
      await page
        .locator('[data-testid=task-status]')
        .filter({ hasText: 'Succeeded' })
        .waitFor({ timeout: 60_000 });
      await page.getByTestId('task-file').filter({ hasText: 'out.txt' }).waitFor();
      await page.getByTestId('raw-json').locator('summary').click();
      const json = JSON.parse(await page.getByTestId('raw-json-text').innerText()) as { id: string };
      assert.equal(json.id, sent.id);
      assert.deepEqual(await axeFaults(page), []);
      await open.picture('task');

      await page.getByTestId('task-edit').click();
      await page.locator('[data-testid=script-editor][data-ready=true]').waitFor();
      assert.equal(await page.locator('input[name=name]').inputValue(), 'long one');
      assert.equal(await page.locator('textarea[name=labels]').inputValue(), 'team=blue');
      assert.deepEqual(await axeFaults(page), []);
      await open.picture('submit');
    });

    it('sends every option of the form, and duplicates', async () => {
      const { page, cluster } = open;
      await page.getByText('Command', { exact: true }).click();
      await page.locator('textarea[name=command]').fill('cat in.txt');
      await page.locator('input[name=name]').fill('with a file');
      await page.locator('textarea[name=env]').fill('A=b');
      await page.locator('textarea[name=collect]').fill('');
      await page.getByTestId('files-input').setInputFiles({
        ...{ name: 'in.txt', mimeType: 'text/plain', buffer: Buffer.from('from a file') },
      });
      await page.getByTestId('files-chosen').filter({ hasText: 'in.txt' }).waitFor();
      assert.match(
        await page.getByTestId('call-clb').innerText(),
        /--env A=b .*--with-file in\.txt -- cat in\.txt/,
      );
      await page.getByRole('button', { name: 'Send Payload' }).click();
      await page.getByTestId('send-status').getByRole('link').click();
      await page.getByTestId('task-stdout').filter({ hasText: 'from a file' }).waitFor({ timeout: 30_000 });
      const first = page.url();
      await page.getByTestId('task-duplicate').click();
      await page.waitForFunction((before) => location.href !== before, first);
      const found = await eventually('both have run', async () => {
        const { tasks } = await cluster.getAny<{ tasks: { name: string; status: string }[] }>(
          '/v1/tasks?q=with%20a%20file',
        );
        return tasks.filter(({ status }) => status === 'succeeded').length === 2 ? tasks : null;
      });
      assert.equal(found.length, 2);
      assert.equal(open.loads, 1);
      assert.deepEqual(open.problems, []);
    });
  },
);
