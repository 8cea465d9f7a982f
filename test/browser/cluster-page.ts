/// <reference lib="dom" />
/** The page of a real cluster in a real Chromium, and what went wrong in it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import type { TaskRequest, TaskView } from '../../src/api/tasks.ts';
import { ProcessCluster } from '../cluster/processes.ts';
import type { ProcessClusterOptions } from '../cluster/processes.ts';
import { CHROMIUM_ARGS, chromiumPath } from '../web-ui/chromium.ts';

/** undefined where there is none on this machine. */
export const CHROMIUM = chromiumPath ?? undefined;
if (CHROMIUM === undefined)
  console.error('SKIPPED: the browser tests need chromium (apt-get install chromium)');

export { CHROMIUM_ARGS };

export class ClusterPage {
  readonly cluster: ProcessCluster;
  readonly page: Page;
  readonly #browser: Browser;
  /** Errors that nobody caught, and refusals of the Content-Security-Policy. */
  readonly problems: string[] = [];
  /** Of all its pages together. */
  loads = 0;
  #held = 0;

  private constructor(cluster: ProcessCluster, browser: Browser, page: Page) {
    this.cluster = cluster;
    this.#browser = browser;
    this.page = page;
    this.#watch(page);
  }

  #watch(page: Page): void {
    page.on('pageerror', (error) => this.problems.push(`page error: ${error.message}`));
    page.on('console', (message) => {
      // A node that is stopped on purpose refuses requests; the browser notes each refusal as an error of its own.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        this.problems.push(message.text());
    });
    page.on('load', () => (this.loads += 1));
  }

  static async open(options: ProcessClusterOptions = {}): Promise<ClusterPage> {
    const cluster = await ProcessCluster.start(options);
    const browser = await chromium.launch({ executablePath: CHROMIUM!, args: CHROMIUM_ARGS });
    const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
    const opened = new ClusterPage(cluster, browser, page);
    await page.goto(cluster.url('client', '/'));
    return opened;
  }

  /** One more page, of somebody else: with cookies and connections of its own. */
  async another(hash: string): Promise<Page> {
    const page = await this.#browser.newPage({ viewport: { width: 1_280, height: 900 } });
    this.#watch(page);
    await page.goto(this.cluster.url('client', `/${hash}`));
    return page;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.cluster.destroy();
  }

  /** Another view, without a load of the page. */
  async show(hash: string): Promise<void> {
    await this.page.evaluate((address) => {
      window.location.hash = address;
    }, hash);
  }

  async submit(request: TaskRequest): Promise<TaskView> {
    const { body } = await this.cluster.request<TaskView>('client', 'POST', '/v1/tasks', request);
    return body;
  }

  /** A script that prints `text` when it is let go, and the function that does so: what is tested in between has all its time. */
  heldScript(text: string): { readonly script: string; readonly letGo: () => void } {
    const flag = join(this.cluster.folder, `let-go-${(this.#held += 1)}`);
    const script =
      'import os, sys, time\nprint("held")\nsys.stdout.flush()\n' +
      `while not os.path.exists(${JSON.stringify(flag)}):\n    time.sleep(0.05)\nprint(${JSON.stringify(text)})\n`;
    return { script, letGo: () => writeFileSync(flag, '') };
  }

  /** Kills the master's process, waits until the page's head names another, and resolves to the one that was killed. */
  async killMaster(): Promise<string> {
    const killed = await this.cluster.master();
    await this.cluster.signal(killed, 'SIGKILL');
    await this.page
      .locator(`[data-testid=master]:not([data-master=${killed}]):not([data-master=""])`)
      .waitFor({ timeout: 60_000 });
    return killed;
  }

  /** Starts what {@link killMaster} killed, and waits until all nodes are ready. */
  async startAgain(killed: string): Promise<void> {
    this.cluster.startNode(killed);
    await this.cluster.whenReady();
  }

  /** CLB_SCREENSHOTS=FOLDER keeps pictures of what it saw. */
  async picture(name: string): Promise<void> {
    const folder = process.env['CLB_SCREENSHOTS'];
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  /** Waits until what is shown fits the width of the window, which may take a moment after a change of either. */
  async fits(): Promise<void> {
    await this.page.waitForFunction(
      () => document.documentElement.scrollWidth <= document.documentElement.clientWidth,
    );
  }

  /** Pixels by which it scrolls sideways. */
  overflow(): Promise<number> {
    return this.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
  }
}
