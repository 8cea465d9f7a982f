/**
 * Takes the pictures of docs/ui.md anew: every view of the page over a real cluster, light, dark and as wide as a phone.
 * `npm run build && node --import tsx scripts/pictures.ts [FOLDER]` (default: docs/img). Needs chromium.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ClusterPage } from '../test/browser/cluster-page.ts';

const FOLDER = resolve(process.argv[2] ?? join(import.meta.dirname, '../docs/img'));
const PICTURE_BYTES_MAX = 80_000;
const QUALITY = 60;
/** What is drawn after something has arrived: long enough for curves, bars and badges to stand still. */
const SETTLE_MS = 1_500;

const LOOKS = [
  { name: 'light', width: 1_280, height: 860, scheme: 'light' },
  { name: 'dark', width: 1_280, height: 860, scheme: 'dark' },
  { name: 'phone', width: 390, height: 844, scheme: 'light' },
] as const;

const open = await ClusterPage.open();
try {
  mkdirSync(FOLDER, { recursive: true });
  const { page, cluster } = open;
  const debug = await page.context().newCDPSession(page);
  const tasks = Array.from({ length: 40 }, (_, at) => ({
    ...{
      command: [
        'sh',
        '-c',
        at % 9 === 4 ? 'echo no such frame >&2; exit 3' : `sleep 0.2; echo frame ${at} done`,
      ],
    },
    ...{ name: `frame ${at}`, labels: { film: 'intro' } },
  }));
  await cluster.request('client', 'POST', '/v1/tasks/batch', { tasks });
  await page.goto(cluster.url('client', '/#/faults'));
  await page.getByTestId('scenario-worker-between').click();
  await page.locator('[data-testid=scenario]:not([data-state=running])').waitFor({ timeout: 120_000 });
  const { tasks: found } = await cluster.getAny<{ tasks: { id: string }[] }>('/v1/tasks?q=scenario&limit=1');
  const script =
    'import time\nfor frame in range(400):\n    print("frame", frame, flush=True)\n    time.sleep(0.3)\n';
  await open.submit({ script, name: 'render the trailer' });
  const views = [
    ['home', '#/', '[data-testid=task-row]'],
    ['submit', '#/submit', '[data-testid=script-editor][data-ready=true]'],
    ['tasks', '#/tasks', '[data-testid=grid-row]'],
    ['task', `#/tasks/${found[0]?.id ?? ''}`, '[data-testid=lane-bar]'],
    ['dashboard', '#/dashboard', '[data-testid=chart][data-ready=true]'],
    ['nodes', '#/nodes', '[data-testid=node]'],
    ['cluster', '#/cluster', '[data-testid=travel-state]'],
    ['faults', '#/faults', '[data-testid=fault-item]'],
    ['logs', '#/logs', '[data-testid=log-line]'],
  ] as const;
  for (const [name, hash, ready] of views) {
    await open.show(hash);
    await page.locator(ready).first().waitFor({ state: 'visible', timeout: 60_000 });
    if (name === 'submit') await page.getByRole('button', { name: 'Generate Payload' }).click();
    for (const look of LOOKS) {
      await page.setViewportSize(look);
      await page.emulateMedia({ colorScheme: look.scheme });
      await page.evaluate(() => window.scrollTo(0, 0));
      await page.waitForTimeout(SETTLE_MS);
      const { data } = await debug.send('Page.captureScreenshot', { format: 'webp', quality: QUALITY });
      const picture = Buffer.from(data, 'base64');
      if (picture.byteLength > PICTURE_BYTES_MAX)
        throw new Error(`${name} ${look.name}: ${picture.byteLength} bytes`);
      writeFileSync(join(FOLDER, `${name}-${look.name}.webp`), picture);
    }
  }
} finally {
  await open.close();
}
