/// <reference lib="dom" />
/**
 * The page left open while tasks change all the time: is its memory level, what does it cost, does it miss anything?
 * `node --import tsx bench/page-soak.ts [--minutes 30] [--changes 200] [--view '#/']`. Needs chromium. Prints one JSON line a
 * minute and one at the end; exits 1 where memory grew, CPU was above the limit, an entry of the log was not heard, or the page
 * and the API disagree in the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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
/** JavaScript's heap, right after its garbage was collected, is looked at so often. */
const SAMPLE_MS = 10_000;
/**
 * Of what it was in the first third of the time, its lowest and its highest: the list holds 50 to 500 rows, as events come in,
 * and the first seconds, in which code is compiled and the list fills, do not count.
 */
const HEAP_GROWTH_MAX = 1.25;
const HEAP_SLACK_MB = 2;
const WARM_UP_MS = 20_000;
/** On average over the whole time. */
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

/** What the page has heard of the log, as it listens: kept by its EventSource itself. */
interface Heard {
  first: number;
  last: number;
  messages: number;
  /** Entries that were passed over. */
  holes: number;
  /** Times the stream said that it could not go on where it broke off. */
  resets: number;
}

declare global {
  interface Window {
    heard: Heard;
  }
}

/** Runs in the page, ahead of its own code. */
function countEvents(): void {
  const heard: Heard = { first: 0, last: 0, messages: 0, holes: 0, resets: 0 };
  window.heard = heard;
  const Native = window.EventSource;
  window.EventSource = class extends Native {
    constructor(url: string | URL, init?: EventSourceInit) {
      super(url, init);
      if (!String(url).startsWith('/v1/events')) return;
      this.addEventListener('reset', () => (heard.resets += 1));
      this.addEventListener('message', ({ lastEventId }) => {
        const index = Number(lastEventId);
        if (heard.first === 0) heard.first = index;
        else heard.holes += Math.max(0, index - heard.last - 1);
        heard.last = Math.max(heard.last, index);
        heard.messages += 1;
      });
    }
  };
}

/** Lowest and highest. */
function span(values: readonly number[]): readonly [low: number, high: number] {
  return [Math.min(...values), Math.max(...values)];
}

let failed = '';
try {
  const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  await page.addInitScript(countEvents);
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
  await sleep(WARM_UP_MS);
  const soakedFrom = performance.now();
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    const cpuBefore = await rendererSeconds();
    const atMs = performance.now();
    const sentBefore = sent;
    const lately: number[] = [];
    while (performance.now() < soakedFrom + minute * 60_000) {
      await sleep(Math.min(SAMPLE_MS, soakedFrom + minute * 60_000 - performance.now()));
      lately.push(await heapMb());
    }
    const seconds = (performance.now() - atMs) / 1_000;
    const share = ((await rendererSeconds()) - cpuBefore) / seconds;
    heaps.push(...lately);
    shares.push(share);
    console.log(
      JSON.stringify({
        minute,
        changes_s: Math.round(((sent - sentBefore) * CHANGES_PER_TASK) / seconds),
        heap_mb: span(lately),
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
  const third = Math.max(1, Math.floor(heaps.length / 3));
  const first = span(heaps.slice(0, third));
  const last = span(heaps.slice(-third));
  const grew = last.some((mb, at) => mb > (first[at] ?? 0) * HEAP_GROWTH_MAX + HEAP_SLACK_MB);
  if (grew) failed += ` heap grew from ${first.join('–')} to ${last.join('–')} MB;`;
  const share = shares.reduce((sum, each) => sum + each, 0) / shares.length;
  if (share > CPU_SHARE_MAX) failed += ` ${Math.round(share * 100)} % of a core;`;
  const heard = await page.evaluate(() => window.heard);
  const { appliedIndex } = await cluster.raft(await cluster.master());
  if (
    heard.holes > 0 ||
    heard.resets > 0 ||
    heard.last < settled.tasks.reduce((max, { index }) => Math.max(max, index), 0)
  )
    failed += ` of the log ${JSON.stringify(heard)} was heard, it goes to ${appliedIndex};`;
  if (total !== sent) failed += ` ${sent} were sent, ${total} are there;`;
  if (problems.length > 0) failed += ` ${problems.length} problems, the first: ${problems[0]};`;
  console.log(
    JSON.stringify({
      soak: {
        minutes: MINUTES,
        tasks: sent,
        heap_mb: { first_third: first, last_third: last },
        cpu_of_a_core: {
          mean: Math.round(share * 1_000) / 1_000,
          worst: Math.round(Math.max(...shares) * 1_000) / 1_000,
        },
        heard: { entries: heard.messages, passed_over: heard.holes, resets: heard.resets },
      },
      failed: failed === '' ? null : failed.trim(),
    }),
  );
} finally {
  await browser.close();
  await destroy();
}
process.exit(failed === '' ? 0 : 1);
