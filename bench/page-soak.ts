/**
 * The page left open while tasks change all the time: is its memory level, what does it cost, does it miss anything?
 * `node --import tsx bench/page-soak.ts [--minutes 30] [--changes 200] [--view '#/']`. Needs chromium. Prints one JSON line a
 * minute and one at the end; exits 1 where memory grew, CPU was above the limit, or the page and the API disagree in the end.
 */
import { chromium } from 'playwright-core';
import type { TaskPage } from '../src/api/tasks.ts';
import { TASK_STATUSES } from '../src/api/tasks.ts';
import { Clb } from '../src/sdk/index.ts';
import { CHROMIUM, CHROMIUM_ARGS } from '../test/browser/cluster-page.ts';
import { eventually } from '../test/cluster/processes.ts';
import { startBenchCluster } from './bench-cluster.ts';

function option(name: string, otherwise: string): string {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : (process.argv[at + 1] ?? otherwise);
}
const MINUTES = Number(option('--minutes', '30'));
const CHANGES_S = Number(option('--changes', '200'));
const VIEW = option('--view', '#/');
/** submitted and assigned, started, finished: what the page hears of one task of the instant worker. */
const CHANGES_PER_TASK = 3;
/** Of the first minute, in which code is compiled and the list fills. */
const HEAP_GROWTH_MAX = 1.25;
const HEAP_SLACK_MB = 4;
const CPU_SHARE_MAX = 0.3;
const TICK_MS = 50;
/** For the cluster to end what was sent, and then for the page to show it. */
const SETTLE_MS_MAX = 180_000;
const AGREE_MS_MAX = 20_000;

const { cluster, destroy } = await startBenchCluster(256, ['client']);
const clb = new Clb({ servers: [...cluster.servers] });
const browser = await chromium.launch({ executablePath: CHROMIUM ?? 'chromium', args: CHROMIUM_ARGS });

/** Seconds of CPU of the processes that draw pages. */
async function rendererSeconds(): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.filter(({ type }) => type === 'renderer').reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

let failed = '';
try {
  const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(cluster.url('client', `/${VIEW}`));
  await page.locator('[data-testid=link-state][data-state=live]').waitFor({ timeout: 60_000 });
  const debug = await page.context().newCDPSession(page);
  const heapMb = async (): Promise<number> => {
    await debug.send('HeapProfiler.collectGarbage');
    const { usedSize } = await debug.send('Runtime.getHeapUsage');
    return Math.round((usedSize / 1024 / 1024) * 10) / 10;
  };

  let sent = 0;
  let outstanding = 0;
  const begun = performance.now();
  // A steady beat of submits: as many as are due by now.
  const load = setInterval(() => {
    const due = Math.floor((((performance.now() - begun) / 1_000) * CHANGES_S) / CHANGES_PER_TASK);
    for (; sent < due; sent += 1) {
      outstanding += 1;
      clb
        .submit({ command: ['echo', String(sent)], name: `soak ${sent % 1_000}` })
        .catch((error: unknown) => problems.push(`submit: ${String(error)}`))
        .finally(() => (outstanding -= 1));
    }
  }, TICK_MS);
  const heaps: number[] = [];
  const shares: number[] = [];
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    const cpuBefore = await rendererSeconds();
    const atMs = performance.now();
    const sentBefore = sent;
    await new Promise((wake) => setTimeout(wake, 60_000));
    const seconds = (performance.now() - atMs) / 1_000;
    const share = ((await rendererSeconds()) - cpuBefore) / seconds;
    heaps.push(await heapMb());
    shares.push(share);
    console.log(
      JSON.stringify({
        minute,
        changes_s: Math.round(((sent - sentBefore) * CHANGES_PER_TASK) / seconds),
        heap_mb: heaps.at(-1),
        cpu_of_a_core: Math.round(share * 1_000) / 1_000,
        state: await page.getByTestId('link-state').getAttribute('data-state'),
      }),
    );
  }
  clearInterval(load);
  await eventually('all submits are answered', () => outstanding === 0);
  // What the page shows must become what the API says, without a reload.
  const shownCounts = (): Promise<number> =>
    page.evaluate(() =>
      Number((document.querySelector('.tab-count')?.textContent ?? '').replaceAll(/\D/g, '')),
    );
  const settled = await eventually(
    'all tasks have ended',
    async () => {
      const api = await cluster.getAny<TaskPage>('/v1/tasks?limit=50&brief=true');
      return api.counts.succeeded === TASK_STATUSES.reduce((sum, status) => sum + api.counts[status], 0)
        ? api
        : null;
    },
    SETTLE_MS_MAX,
  );
  const total = settled.counts.succeeded;
  const wanted = settled.tasks.map(({ id, status }) => `${id} ${status}`);
  const shownRows = (): Promise<readonly string[]> =>
    page
      .locator('[data-task-id]')
      .evaluateAll((items) =>
        items
          .slice(0, 50)
          .map((row) => `${row.getAttribute('data-task-id')} ${row.getAttribute('data-status')}`),
      );
  // Without a reload, and without anything being sent any more.
  const agrees = async (): Promise<boolean> => {
    const rows = await shownRows();
    return (
      (await shownCounts()) === total &&
      rows.length === wanted.length &&
      rows.every((row, at) => row === wanted[at])
    );
  };
  await eventually('the page agrees with the API', agrees, AGREE_MS_MAX).catch(async () => {
    const rows = await shownRows();
    const wrong = wanted.filter((row, at) => rows[at] !== row).length;
    failed += ` the page shows ${await shownCounts()} tasks of ${total}, ${wrong} of 50 rows are wrong;`;
  });
  const first = heaps[0] ?? 0;
  const last = heaps.at(-1) ?? 0;
  const worst = Math.max(...shares);
  if (last > first * HEAP_GROWTH_MAX + HEAP_SLACK_MB) failed += ` heap grew from ${first} to ${last} MB;`;
  if (worst > CPU_SHARE_MAX) failed += ` ${Math.round(worst * 100)} % of a core;`;
  if (total !== sent) failed += ` ${sent} were sent, ${total} are there;`;
  if (problems.length > 0) failed += ` ${problems.length} problems, the first: ${problems[0]};`;
  console.log(
    JSON.stringify({
      soak: {
        minutes: MINUTES,
        tasks: sent,
        heap_mb: [first, last],
        cpu_worst: Math.round(worst * 1_000) / 1_000,
      },
      failed: failed === '' ? null : failed.trim(),
    }),
  );
} finally {
  await browser.close();
  await destroy();
}
process.exit(failed === '' ? 0 : 1);
