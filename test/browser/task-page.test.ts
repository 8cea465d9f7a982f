/// <reference lib="dom" />
/**
 * Goal: whatever can be pressed on the page of a task and in the rows under the form, pressed in a real Chromium against a real
 * cluster, and its effect looked up in the API, in the clipboard or in the file that was downloaded.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Download } from 'playwright-core';
import type { TaskView } from '../../src/api/tasks.ts';
import { eventually } from '../cluster/processes.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

const textOf = async (download: Download): Promise<string> => readFileSync(await download.path(), 'utf8');

describe(
  'the page of a task',
  { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 300_000 },
  () => {
    let open: ClusterPage;
    before(async () => {
      open = await ClusterPage.open();
      await open.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    });
    after(() => open.close());
    const task = (id: string): Promise<TaskView> => open.cluster.getAny<TaskView>(`/v1/tasks/${id}`);
    const status = (name: string): Promise<void> =>
      open.page.locator(`[data-testid=task-page][data-status=${name}]`).waitFor();
    const clipboard = (): Promise<string> => open.page.evaluate(() => navigator.clipboard.readText());
    const finished = (id: string): Promise<TaskView> =>
      eventually('it has ended', async () => {
        const seen = await task(id);
        return seen.finishedAt === null ? null : seen;
      });

    it('cancels what runs when asked twice, and retries it as a new one', async () => {
      const { page } = open;
      const { script, letGo } = open.heldScript('the second time');
      const { id } = await open.submit({ script, name: 'canceled once' });
      await open.show(`#/tasks/${id}`);
      await status('running');
      const cancel = page.getByTestId('task-cancel');
      await cancel.click();
      assert.equal(await cancel.innerText(), 'Really cancel?');
      await page.getByTestId('task-duplicate').focus();
      await page.waitForFunction(
        () => document.querySelector('[data-testid=task-cancel]')?.textContent === 'Cancel',
      );
      assert.equal((await task(id)).status, 'running', 'asked once, and let be');
      await cancel.click();
      await cancel.click();
      await status('canceled');
      assert.equal((await task(id)).status, 'canceled');

      letGo();
      await page.getByTestId('task-retry').click();
      await page.waitForFunction((before) => location.hash !== `#/tasks/${before}`, id);
      await status('succeeded');
      await page.getByTestId('task-stdout').filter({ hasText: 'the second time' }).waitFor();
      const again = page.url().split('/').at(-1)!;
      assert.equal((await task(again)).retryOf, id);
      await page.locator('.fact').filter({ hasText: 'Retry of' }).getByRole('link').click();
      await status('canceled');
      assert.equal(new URL(page.url()).hash, `#/tasks/${id}`);
    });

    it('follows the output, stands still where it is read, and follows again', async () => {
      const { page, cluster } = open;
      const flag = (name: string): string => join(cluster.folder, `flag-${name}`);
      const waitFor = (name: string): string =>
        `while not os.path.exists(${JSON.stringify(flag(name))}):\n    time.sleep(0.05)\n`;
      const write = (from: number, to: number): string =>
        `for n in range(${from}, ${to}):\n    print("line", n, flush=True)\n`;
      const script =
        `import os, sys, time\nprint("to the other stream", file=sys.stderr, flush=True)\n${write(0, 200)}` +
        `${waitFor('more')}${write(200, 400)}${waitFor('last')}${write(400, 600)}${waitFor('end')}`;
      const { id } = await open.submit({ script, name: 'much output' });
      await open.show(`#/tasks/${id}`);
      const output = page.getByTestId('task-stdout');
      const below = (): Promise<number> =>
        output.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
      const follow = page.getByTestId('output-follow');
      await output.filter({ hasText: 'line 199' }).waitFor();
      await eventually('it stands at the end', async () => (await below()) < 2);
      await output.evaluate((box) => box.scrollTo(0, 0));
      await page.waitForFunction(
        () => document.querySelector<HTMLInputElement>('[data-testid=output-follow]')?.checked === false,
      );
      writeFileSync(flag('more'), '');
      await output.filter({ hasText: 'line 399' }).waitFor();
      assert.equal(await output.evaluate((box) => box.scrollTop), 0, 'it is being read');
      await follow.check();
      await eventually('it went to the end', async () => (await below()) < 2);
      writeFileSync(flag('last'), '');
      await output.filter({ hasText: 'line 599' }).waitFor();
      await eventually('it went along', async () => (await below()) < 2);
      await page.getByRole('button', { name: 'stderr' }).click();
      await page.getByTestId('task-stderr').filter({ hasText: 'to the other stream' }).waitFor();
      writeFileSync(flag('end'), '');
      await status('succeeded');
      await page.getByRole('button', { name: 'stdout' }).click();
      await output.filter({ hasText: 'line 599' }).waitFor();
      await page.getByTestId('output-filter').fill('no such line');
      await output.filter({ hasText: 'no line has this text' }).waitFor();
      await page.getByTestId('output-filter').fill('');

      const expected = Array.from({ length: 600 }, (_, n) => `line ${n}\n`).join('');
      const [raw] = await Promise.all([
        page.context().waitForEvent('page'),
        page.getByRole('link', { name: 'raw' }).click(),
      ]);
      await raw.waitForLoadState();
      assert.equal(`${(await raw.locator('body').innerText()).trimEnd()}\n`, expected);
      await raw.close();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'download' }).click(),
      ]);
      assert.equal(download.suggestedFilename(), `${id}.stdout.txt`);
      assert.equal(await textOf(download), expected);
    });

    it('gives the files that were kept, tells why the node was chosen, and copies hash and JSON', async () => {
      const { page } = open;
      const { id } = await open.submit({
        script: 'import os\nos.mkdir("out")\nopen("out/kept.txt", "w").write("kept")\n',
        collect: ['out/*.txt'],
      });
      const { attempts } = await finished(id);
      // The beginning of an id is enough, and the address then has the whole of it.
      await open.show(`#/tasks/${id.slice(0, 12)}`);
      await page.waitForFunction((whole) => location.hash === `#/tasks/${whole}`, id);
      await status('succeeded');
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByTestId('task-file').getByRole('link', { name: 'out/kept.txt' }).click(),
      ]);
      assert.deepEqual([download.suggestedFilename(), await textOf(download)], ['kept.txt', 'kept']);

      const node = attempts[0]!.node;
      await page.getByTestId('placement').locator('summary').click();
      await page.locator('.candidates .chosen').filter({ hasText: node }).waitFor();
      assert.deepEqual(
        await page
          .getByTestId('timeline-entry')
          .evaluateAll((entries) => entries.map((entry) => entry.getAttribute('data-what'))),
        ['submitted', 'assigned', 'started', 'finished'],
      );
      await page
        .getByRole('button', { name: `Copy ${id}` })
        .first()
        .click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      assert.equal(await clipboard(), id);
      await page.getByTestId('raw-json').locator('summary').click();
      await page.getByRole('button', { name: 'Copy the JSON' }).click();
      await eventually('the JSON is in the clipboard', async () => (await clipboard()).startsWith('{'));
      assert.deepEqual(JSON.parse(await clipboard()), await task(id));
    });

    it('says that there is no such payload, and leads back to all of them', async () => {
      const { page } = open;
      await open.show('#/tasks/nosuchpayload');
      await page.getByTestId('task-missing').getByText('There is no payload with this hash.').waitFor();
      await page.getByRole('link', { name: 'All payloads' }).click();
      await page.waitForFunction(() => location.hash === '#/');
      await page.getByTestId('task-row').first().waitFor();
    });

    it('opens rows by button and by click, and lists by status, by search, and further down', async () => {
      const { page, cluster } = open;
      const tasks = Array.from({ length: 60 }, (_, at) => ({ command: ['true'], name: `one of many ${at}` }));
      await cluster.request('client', 'POST', '/v1/tasks/batch', { tasks });
      const { id } = await open.submit({
        command: ['sh', '-c', 'echo said; echo wrong >&2; exit 3'],
        name: 'fails',
      });
      await finished(id);
      await page.getByTestId('tab-failed').click();
      await page.waitForFunction(() => location.hash === '#/?status=failed');
      const row = page.locator(`[data-testid=task-row][data-task-id="${id}"]`);
      await row.getByTestId('task-result').getByText('exit 3').waitFor();
      await row.getByTestId('task-toggle').click();
      const more = page.getByTestId('task-more');
      await more.getByTestId('task-stdout').getByText('said').waitFor();
      await more.getByTestId('task-stderr').getByText('wrong').waitFor();
      await more.getByTestId('task-payload').getByText('exit 3').waitFor();
      await row.getByTestId('task-toggle').click();
      await more.waitFor({ state: 'detached' });
      await row.getByTestId('task-node').click();
      await more.getByRole('link', { name: 'Timeline, attempts and more' }).click();
      await status('failed');
      await page.getByTestId('task-stdout').getByText('said').waitFor();
      await page.goBack();

      await page.getByRole('button', { name: /^All/ }).click();
      await page.waitForFunction(() => location.hash === '#/');
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=task-row]').length === 50);
      await page.getByRole('button', { name: 'Load more' }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=task-row]').length > 60);
      await page.getByTestId('task-search').fill('fails');
      await page.waitForFunction(() => location.hash === '#/?q=fails');
      await page.waitForFunction(() => document.querySelectorAll('[data-testid=task-row]').length === 1);
      await row.waitFor();
      await page.getByTestId('task-search').fill('such a text is nowhere');
      await page.getByTestId('tasks-empty').getByText('No payload matches.').waitFor();
    });

    it('sends each option that can be filled in, and copies the same as a line for a shell', async () => {
      const { page } = open;
      const first = await open.submit({ script: 'print("first")', name: 'before it' });
      await finished(first.id);
      await page.getByRole('link', { name: 'Submit', exact: true }).click();
      await page.locator('[data-testid=script-editor][data-ready=true]').waitFor();
      await page.getByRole('textbox', { name: 'Payload: a Python script' }).click();
      await page.keyboard.type('import sys; print(sys.stdin.read())');
      const fields = {
        ...{ interpreter: 'python3', name: 'with everything', timeoutSeconds: '60', maxAttempts: '3' },
        ...{ priority: '70', backoffSeconds: '2', noRetryExitCodes: '2, 64', delaySeconds: '1' },
        ...{ cpu: '0.5', memoryMb: '32', cwd: open.cluster.folder },
      };
      for (const [name, value] of Object.entries(fields)) {
        await page.locator(`input[name=${name}]`).fill(value);
      }
      const areas = {
        ...{ after: first.id, env: 'A=b\nC=d', stdin: 'from the form', labels: 'team=blue' },
        ...{ collect: '*.none' },
      };
      for (const [name, value] of Object.entries(areas)) {
        await page.locator(`textarea[name=${name}]`).fill(value);
      }
      await page.locator('select[name=onDisconnect]').selectOption('stop');
      const file = (name: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(name) });
      await page.getByTestId('files-input').setInputFiles([file('a.txt'), file('b.txt')]);
      await page.getByTestId('files-chosen').getByRole('button', { name: 'none of them' }).click();
      await page.getByTestId('files-chosen').filter({ hasText: 'b.txt' }).waitFor({ state: 'detached' });

      for (const title of ['clb', 'curl']) {
        await page.getByRole('button', { name: `Copy the ${title} line` }).click();
        const line = await page.getByTestId(`call-${title}`).innerText();
        await eventually('it is in the clipboard', async () => (await clipboard()) === line);
        assert.match(line, /with everything/);
      }
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Send Payload' }).click();
      await page.getByTestId('send-status').getByRole('link').click();
      await status('succeeded');
      const sent = await task(page.url().split('/').at(-1)!);
      const { interpreter, name, timeoutMs, maxAttempts, priority, backoffMs, noRetryExitCodes } = sent;
      assert.deepEqual(
        { interpreter, name, timeoutMs, maxAttempts, priority, backoffMs, noRetryExitCodes },
        {
          ...{ interpreter: 'python3', name: 'with everything', timeoutMs: 60_000, maxAttempts: 3 },
          ...{ priority: 70, backoffMs: 2_000, noRetryExitCodes: [2, 64] },
        },
      );
      const { delayMs, cpu, memoryMb, cwd, after: awaited, env, stdin, labels, collect, onDisconnect } = sent;
      assert.deepEqual(
        { delayMs, cpu, memoryMb, cwd, awaited, env, stdin, labels, collect, onDisconnect },
        {
          ...{ delayMs: 1_000, cpu: 0.5, memoryMb: 32, cwd: open.cluster.folder, awaited: [first.id] },
          ...{ env: { A: 'b', C: 'd' }, stdin: 'from the form', labels: { team: 'blue' } },
          ...{ collect: ['*.none'], onDisconnect: 'stop' },
        },
      );
      assert.deepEqual([sent.files, sent.result?.stdout], [[], 'from the form\n']);
    });

    it('all of it without a reload, and without anything that went wrong in the page', () => {
      assert.equal(open.loads, 1);
      assert.deepEqual(open.problems, []);
    });
  },
);
