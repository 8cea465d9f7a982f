/// <reference lib="dom" />
/**
 * Goal: the views of tasks in a real Chromium against a real cluster: the table with its tabs, address and bulk actions, the
 * page of one task over the loss of its node, the form with every option, and each of the three over the loss of the master.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TaskPage } from '../../src/api/tasks.ts';
import { axeFaults } from '../web-ui/axe.ts';
import { eventually } from '../cluster/processes.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

describe(
  'the views of tasks',
  { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 360_000 },
  () => {
    let open: ClusterPage;
    before(async () => {
      open = await ClusterPage.open({ extraArgs: { worker: ['--label', 'rack=side'] } });
    });
    after(() => open.close());
    const drain = async (on: boolean): Promise<void> => {
      const path = '/v1/nodes/worker1/drain';
      const { status } = await open.cluster.request('client', 'POST', path, { drain: on });
      assert.equal(status, 200);
    };

    it('narrows the table down by label, name and time, in the address', async () => {
      const { page } = open;
      const sent = [
        { name: 'narrow a', labels: { team: 'narrow-blue' } },
        { name: 'narrow b', labels: { team: 'narrow-blue' } },
        { name: 'narrow a', labels: { team: 'narrow-red' } },
      ];
      for (const task of sent) await open.submit({ command: ['true'], ...task });
      const shows = (count: number): Promise<unknown> =>
        page.waitForFunction(
          (wanted) => document.querySelectorAll('[data-testid=grid-row]').length === wanted,
          count,
        );
      const narrow = page.getByTestId('narrow');
      await open.show('#/tasks?q=narrow');
      await shows(3);
      await narrow.getByText('Label, name and time').click();
      await narrow.getByLabel('Label').fill('team=narrow-blue');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => location.hash === '#/tasks?q=narrow&label=team%3Dnarrow-blue');
      await shows(2);
      await narrow.getByLabel('Name').fill('narrow a');
      await page.getByTestId('narrow-apply').click();
      await shows(1);
      await narrow.getByLabel('Sent before').fill('2020-01-02T03:04:05');
      await page.getByTestId('narrow-apply').click();
      await page.getByText('No payload matches.').waitFor();
      assert.match(
        await narrow.locator('summary').innerText(),
        /label team=narrow-blue, name narrow a, sent before 2020-01-02 03:04:05/,
      );
      assert.deepEqual(await axeFaults(page), []);
      await open.picture('tasks-narrowed');
      await page.getByTestId('narrow-clear').click();
      await page.waitForFunction(() => location.hash === '#/tasks?q=narrow');
      await shows(3);
    });

    it('lists tasks in pages, by status and search in the address, and cancels and retries many at once', async () => {
      const { page, cluster } = open;
      const tasks = Array.from({ length: 230 }, (_, at) => ({
        ...{ command: ['true'], name: `sweep ${at}` },
        ...(at < 120 ? { constraints: { rack: 'side' } } : {}),
      }));
      // The only node that has the label takes none: those stay queued.
      await drain(true);
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
      await page.getByRole('button', { name: 'Back', exact: true }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=grid-row]').length === 100);
      await page.getByTestId('page-older').click();
      await page.getByRole('link', { name: 'Newest', exact: true }).click();
      await page.waitForFunction(() => location.hash === '#/tasks?status=queued');
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

      await drain(false);
      await page.getByTestId('choose-all').check();
      await page.getByTestId('bulk-retry').click();
      await page.getByTestId('bulk-yes').click();
      await page.locator('[data-testid=bulk-progress][data-state=over]').waitFor();
      assert.equal(await page.getByTestId('bulk-progress').getAttribute('data-done'), '11');
      await page.getByTestId('bulk-dismiss').click();
      await page.getByTestId('tab-succeeded').click();
      await page.waitForFunction(
        () => document.querySelectorAll('[data-testid=grid-row][data-status=succeeded]').length === 11,
        null,
        { timeout: 60_000 },
      );
      const { tasks: retried } = await cluster.getAny<TaskPage>('/v1/tasks?status=succeeded&q=sweep%2011');
      assert.equal(retried.length, 11);
      assert.ok(
        retried.every(({ retryOf, attempts }) => retryOf !== null && attempts[0]?.node === 'worker1'),
      );
    });

    it('takes No for an answer, stops in the middle of many when told to, and tells which could not be done', async () => {
      const { page } = open;
      await open.show('#/tasks?status=canceled');
      await page.locator('[data-testid=bulk-all]').getByText('Retry all 120').click();
      await page.getByTestId('bulk-ask').getByText('Send 120 payloads once more, as new ones?').waitFor();
      await page.getByRole('button', { name: 'No', exact: true }).click();
      await page.getByTestId('bulk-ask').waitFor({ state: 'detached' });

      // Some go through, the others wait until Stop has been pressed.
      let goOn = (): void => undefined;
      const stopped = new Promise<void>((resolve) => (goOn = resolve));
      let passed = 0;
      await page.route('**/v1/tasks/*/retry', async (route) => {
        if ((passed += 1) > 10) await stopped;
        await route.continue();
      });
      await page.getByTestId('bulk-all').click();
      await page.getByTestId('bulk-yes').click();
      await page.locator('[data-testid=bulk-progress][data-done="10"]').waitFor();
      await page.getByRole('button', { name: 'Stop', exact: true }).click();
      goOn();
      await page.locator('[data-testid=bulk-progress][data-state=stopped]').waitFor();
      await page.getByTestId('bulk-progress').getByText('of 120 sent again, the others were left').waitFor();
      // Those that were under way were not broken off.
      assert.equal(Number(await page.getByTestId('bulk-progress').getAttribute('data-done')), passed);
      assert.ok(passed > 10 && passed < 120, `${passed} were sent`);
      await page.getByTestId('bulk-dismiss').click();
      await page.unroute('**/v1/tasks/*/retry');

      await page.route('**/v1/tasks/*/retry', (route) => route.abort());
      await page.getByTestId('choose-all').check();
      await page.getByTestId('choose-all').uncheck();
      await page.getByText('Choose payloads to cancel or retry them.').waitFor();
      await page.getByTestId('grid-row').first().getByRole('checkbox').check();
      assert.equal(await page.getByTestId('bulk-cancel').isDisabled(), true, 'it has ended');
      await page.getByTestId('bulk-retry').click();
      await page.getByTestId('bulk-yes').click();
      await page.locator('[data-testid=bulk-progress][data-state=over][data-failed="1"]').waitFor();
      await page.getByTestId('bulk-failures').getByText('No answer.').waitFor();
      await page.getByTestId('bulk-dismiss').click();
      await page.unroute('**/v1/tasks/*/retry');
      await page.getByTestId('grid-row').first().getByRole('link').click();
      await page.locator('[data-testid=task-page][data-status=canceled]').waitFor();
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
    });

    it('shows in the table what ended after its master was killed', async () => {
      const { page } = open;
      const { script, letGo } = open.heldScript('kept');
      await open.show('#/tasks?q=held+in+the+table');
      const { id } = await open.submit({ script, name: 'held in the table' });
      const row = page.locator(`[data-testid=grid-row][data-task-id="${id}"]`);
      await page.locator(`[data-testid=grid-row][data-task-id="${id}"][data-status=running]`).waitFor();
      const killed = await open.killMaster();
      letGo();
      await page
        .locator(`[data-testid=grid-row][data-task-id="${id}"][data-status=succeeded]`)
        .waitFor({ timeout: 60_000 });
      assert.equal(await row.locator('.cell-end').innerText(), '0');
      await open.startAgain(killed);
    });

    it('goes on with the output of a task after its master was killed, and shows who took over', async () => {
      const { page } = open;
      const { script, letGo } = open.heldScript('said to the next master');
      const { id } = await open.submit({ script, name: 'held on its page' });
      await open.show(`#/tasks/${id}`);
      const output = page.getByTestId('task-stdout');
      await output.filter({ hasText: 'held' }).waitFor({ timeout: 30_000 });
      const killed = await open.killMaster();
      letGo();
      await output.filter({ hasText: 'said to the next master' }).waitFor({ timeout: 60_000 });
      await page.locator('[data-testid=task-page][data-status=succeeded]').waitFor({ timeout: 60_000 });
      assert.equal(await page.getByTestId('lane-bar').count(), 1, 'it went on where it ran');
      const seam = page.locator('.lane-seam').first();
      await seam.waitFor({ state: 'attached' });
      // Where the first that the next master writes is the end of the task, too.
      assert.ok(
        await seam.evaluate((mark) => {
          const track = mark.parentElement?.getBoundingClientRect();
          const { left, right } = mark.getBoundingClientRect();
          return track !== undefined && left >= track.left - 0.01 && right <= track.right + 0.01;
        }),
        'the change of the master is seen on the line of time',
      );
      await open.startAgain(killed);
    });

    it('sends what was typed into the form before its master was killed, once', async () => {
      const { page, cluster } = open;
      await open.show('#/submit');
      await page.getByText('Script', { exact: true }).click();
      await page.locator('[data-testid=script-editor][data-ready=true]').waitFor();
      await page.getByRole('textbox', { name: 'Payload: a Python script' }).click();
      await page.keyboard.type('print(40 + 2)');
      await page.locator('input[name=name]').fill('typed before');
      const killed = await cluster.master();
      await cluster.signal(killed, 'SIGKILL');
      // Nobody leads yet: it is sent until somebody takes it.
      await page.getByRole('button', { name: 'Send Payload' }).click();
      await page.locator('[data-testid=send-status][data-state=sent]').waitFor({ timeout: 60_000 });
      await page.getByTestId('send-status').getByRole('link').click();
      await page.getByTestId('task-stdout').filter({ hasText: '42' }).waitFor({ timeout: 60_000 });
      await page.locator('[data-testid=task-page][data-status=succeeded]').waitFor({ timeout: 60_000 });
      const { tasks } = await cluster.getAny<TaskPage>('/v1/tasks?name=typed%20before');
      assert.deepEqual(
        tasks.map(({ status }) => status),
        ['succeeded'],
      );
      await open.startAgain(killed);
      assert.equal(open.loads, 1);
      assert.deepEqual(open.problems, []);
    });
  },
);
