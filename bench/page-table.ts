/**
 * The table of tasks with very many of them: how long until a page, a filter and a search are shown, and does scrolling stutter?
 * `node --import tsx bench/page-table.ts [--tasks 100000]`. Needs chromium. Prints one JSON line.
 */
import { chromium } from 'playwright-core';
import { CHROMIUM, CHROMIUM_ARGS } from '../test/browser/cluster-page.ts';
import { startBenchCluster } from './bench-cluster.ts';

const at = process.argv.indexOf('--tasks');
const TASKS = at === -1 ? 100_000 : Number(process.argv[at + 1]);
const BATCH = 5_000;
const PAGES_TURNED = 20;

const { cluster, destroy } = await startBenchCluster(1, ['client']);
const browser = await chromium.launch({ executablePath: CHROMIUM ?? 'chromium', args: CHROMIUM_ARGS });
try {
  // Nothing is placed: all of them stay in the table of what is queued.
  await cluster.request('client', 'POST', '/v1/queue', { paused: true });
  for (let from = 0; from < TASKS; from += BATCH) {
    const tasks = Array.from({ length: Math.min(BATCH, TASKS - from) }, (_, i) => {
      return { command: ['true'], name: `frame ${from + i}` };
    });
    const { status } = await cluster.request('client', 'POST', '/v1/tasks/batch', { tasks });
    if (status !== 200) throw new Error(`a batch was answered with ${status}`);
  }
  const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
  const debug = await page.context().newCDPSession(page);
  const heapMb = async (): Promise<number> => {
    await debug.send('HeapProfiler.collectGarbage');
    return Math.round(((await debug.send('Runtime.getHeapUsage')).usedSize / 1024 / 1024) * 10) / 10;
  };
  /** Until so many rows are there, the first of which has this text. */
  const timed = async (act: () => Promise<unknown>, rows: number, first = ''): Promise<number> => {
    const begun = performance.now();
    await act();
    await page.waitForFunction(
      ({ rows: count, first: text }) => {
        const shown = [...document.querySelectorAll<HTMLElement>('[data-testid=grid-row]')];
        return shown.length === count && shown.slice(0, 1).every((row) => row.innerText.includes(text));
      },
      { rows, first },
      { timeout: 60_000 },
    );
    return Math.round(performance.now() - begun);
  };
  const openMs = await timed(() => page.goto(cluster.url('client', '/#/tasks')), 100);
  const heapBefore = await heapMb();
  const filterMs = await timed(() => page.getByTestId('tab-queued').click(), 100);
  const turns: number[] = [];
  for (let turned = 1; turned <= PAGES_TURNED; turned += 1) {
    const newest = TASKS - 1 - turned * 100;
    turns.push(await timed(() => page.getByTestId('page-older').click(), 100, `frame ${newest}`));
  }
  const searchMs = await timed(() => page.getByTestId('task-search').fill(`frame ${TASKS - 7}`), 1);
  await timed(() => page.getByTestId('task-search').fill(''), 100);
  /** Longest time between two frames while the page is scrolled up and down. */
  const frameMs = await page.evaluate(async () => {
    let longest = 0;
    let before = performance.now();
    for (let frame = 0; frame < 120; frame += 1) {
      window.scrollBy(0, frame % 60 < 30 ? 60 : -60);
      await new Promise((drawn) => requestAnimationFrame(drawn));
      const now = performance.now();
      longest = Math.max(longest, now - before);
      before = now;
    }
    return Math.round(longest);
  });
  turns.sort((a, b) => a - b);
  const turnMs = [turns[Math.floor(turns.length / 2)], turns.at(-1)];
  console.log(
    JSON.stringify({
      table: { tasks: TASKS, open_ms: openMs, filter_ms: filterMs, turn_ms: turnMs, search_ms: searchMs },
      longest_frame_ms: frameMs,
      heap_mb: [heapBefore, await heapMb()],
    }),
  );
} finally {
  await browser.close();
  await destroy();
}
