/// <reference lib="dom" />
/**
 * Goal: the original's five scenarios, each by its button on the page in a real Chromium against a real cluster: the page
 * tells every step as it happens and that it ended well, what it tells is what the cluster's own record of the task says, and
 * afterwards everything is as before.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AttemptView, TaskPage, TaskView } from '../../src/api/tasks.ts';
import { SCENARIOS } from '../../src/web/ui/src/model/scenario-run.ts';
import type { ScenarioName } from '../../src/web/ui/src/model/scenario-run.ts';
import { CHROMIUM, ClusterPage } from './cluster-page.ts';

const RUN_MS_MAX = 120_000;

interface Ran {
  readonly task: TaskView;
  /** The node that was stopped, and who led before and afterwards. */
  readonly stopped: string;
  readonly before: string;
  readonly after: string;
}

const placesOf = (attempts: readonly AttemptView[]): readonly string[] =>
  attempts.map(({ node, outcome }) => `${node} ${outcome}`);

/** What must have become of the payload. */
const OUTCOMES: Readonly<Record<ScenarioName, (ran: Ran) => void>> = {
  'master-before': ({ task, stopped, before, after: now }) => {
    assert.equal(stopped, before);
    assert.notEqual(now, before);
    assert.ok(task.attempts.every(({ node }) => node !== stopped));
  },
  'worker-before': ({ task, stopped, before, after: now }) => {
    assert.notEqual(stopped, before);
    assert.equal(now, before, 'nobody else had to lead');
    assert.notEqual(task.attempts.at(-1)?.node, stopped);
  },
  'master-after': ({ task, stopped, before, after: now }) => {
    assert.equal(stopped, before);
    assert.notEqual(now, before);
    const [only] = task.attempts;
    assert.deepEqual(placesOf(task.attempts), [`${only?.node} succeeded`], 'it went on where it ran');
    assert.notEqual(only?.node, stopped);
  },
  'master-between': ({ task, stopped, before, after: now }) => {
    assert.equal(stopped, before);
    assert.notEqual(now, before);
    assert.ok(task.attempts.every(({ node }) => node !== stopped));
  },
  'worker-between': ({ task, stopped }) => {
    const [first, ...later] = placesOf(task.attempts);
    assert.equal(first, `${stopped} lost`);
    assert.ok(later.length >= 1 && later.every((place) => !place.startsWith(`${stopped} `)), later.join());
  },
};

describe(
  'the five scenarios of the original',
  { skip: CHROMIUM === undefined ? 'no chromium' : false, timeout: 600_000 },
  () => {
    let open: ClusterPage;
    before(async () => {
      open = await ClusterPage.open();
      await open.show('#/faults');
    });
    after(() => open.close());

    for (const name of Object.keys(SCENARIOS) as ScenarioName[]) {
      it(`${SCENARIOS[name]}: by its button`, async () => {
        const { page, cluster } = open;
        const master = await cluster.master();
        await page.getByTestId(`scenario-${name}`).click();
        // What is told belongs to this one from then on.
        await page.locator(`[data-testid=scenario-${name}][aria-describedby=scenario-told]`).waitFor();
        await page
          .locator('[data-testid=scenario]:not([data-state=running])')
          .waitFor({ timeout: RUN_MS_MAX });
        const told = await page.getByTestId('scenario').innerText();
        assert.equal(await page.getByTestId('scenario').getAttribute('data-state'), 'passed', told);

        const [, stopped = ''] = /Start (\S+) again/.exec(told) ?? [];
        const { tasks } = await cluster.getAny<TaskPage>('/v1/tasks?name=scenario&limit=1');
        const [task] = tasks;
        assert.ok(task !== undefined);
        assert.deepEqual([task.status, task.result?.stdout], ['succeeded', '42\n']);
        const tries = task.attempts.length;
        const last = task.attempts.at(-1)?.node;
        const ending = tries === 1 ? 'in its first attempt' : `after ${tries} attempts`;
        assert.ok(told.includes(`42 from ${last}, ${ending}`), told);
        OUTCOMES[name]({ task, stopped, before: master, after: await cluster.master() });

        for (const kind of ['injected', 'healed']) {
          await page
            .locator(`[data-testid=fault-item][data-kind=${kind}][data-node=${stopped}]`)
            .first()
            .waitFor();
        }
        await cluster.whenReady();
      });
    }

    it('all without a reload, and without anything that went wrong in the page', () => {
      assert.equal(open.loads, 1);
      assert.deepEqual(open.problems, []);
    });
  },
);
