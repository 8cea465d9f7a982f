/**
 * What it takes to see something, by somebody who has just found this project: a fresh clone into a temporary folder, then
 * the README's own commands, address and buttons, read from it, in a real Chromium. Prints each step with the seconds since
 * the beginning, and one JSON line: steps and seconds until the first result, and until a crash was survived on the screen.
 *
 * `node --import tsx bench/first-use.ts [--cold] [--from REPOSITORY] [--port-base N]`
 * `--cold`: npm begins with an empty cache. `--port-base`: where 3001 to 3006 are taken. Needs chromium, npm and the registry.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';
import { CHROMIUM, CHROMIUM_ARGS } from '../test/browser/cluster-page.ts';
import { eventually } from '../test/cluster/processes.ts';

const INSTALL_MS_MAX = 600_000;
const READY_MS_MAX = 120_000;
/** A generated payload takes up to a minute; one whose node is stopped may run twice. */
const RESULT_MS_MAX = 200_000;
const END_MS_MAX = 30_000;

function option(name: string): string | null {
  const at = process.argv.indexOf(name);
  return at === -1 ? null : (process.argv[at + 1] ?? null);
}
const FROM = option('--from') ?? resolve(import.meta.dirname, '..');
const PORT_BASE = option('--port-base');
const COLD = process.argv.includes('--cold');

interface Step {
  readonly what: string;
  /** Somebody has to do it; else it is something that shows. */
  readonly done: boolean;
  readonly s: number;
}

/** What somebody does, and what shows, one after the other. */
class Protocol {
  readonly steps: Step[] = [];
  readonly #begunMs = performance.now();

  /** Something that somebody does. */
  step(what: string): void {
    this.#add(what, true);
  }

  /** Something that shows. */
  shows(what: string): { readonly steps: number; readonly s: number } {
    const { s } = this.#add(what, false);
    return { steps: this.steps.filter(({ done }) => done).length, s };
  }

  #add(what: string, done: boolean): Step {
    const step = { what, done, s: Math.round((performance.now() - this.#begunMs) / 100) / 10 };
    this.steps.push(step);
    console.error(
      `${step.s.toFixed(1).padStart(7)} s  ${done ? `${this.steps.filter((one) => one.done).length}.` : '  '} ${what}`,
    );
    return step;
  }
}

/** What the README tells to do. It fails where the README says something else than what is measured here. */
interface Instructions {
  readonly install: string;
  readonly start: string;
  readonly address: string;
  readonly hello: string;
}

function instructions(readme: string): Instructions {
  const find = (what: string, pattern: RegExp): readonly string[] => {
    const found = pattern.exec(readme);
    if (found === null) throw new Error(`the README does not say ${what}`);
    return found.slice(1);
  };
  const [install = '', start = ''] = find('how to start', /^ {4}(npm ci) && (npm start)\b/m);
  const [address = ''] = find(
    'what to open and press',
    /open <(http:\S+?)>, press \*Generate Payload\*, \*Send Payload\*/,
  );
  const [hello = ''] = find('how to run something from a terminal', /^ {4}(npx clb run -- echo hello)\b/m);
  find('how to simulate a crash', /page of the\s+client has a button for each node/);
  if (PORT_BASE === null) return { install, start, address, hello };
  const base = Number(PORT_BASE);
  find('how to move the ports', /npm start -- --port-base 4000/);
  const servers = [2, 4, 5].map((offset) => `127.0.0.1:${base + offset}`).join(',');
  return {
    install,
    start: `${start} -- --port-base ${base}`,
    address: address.replace('3001', String(base + 1)),
    hello: hello.replace('run', `--server ${servers} run`),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'clb-first-use-'));
const clone = join(folder, 'clb');
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CLB_'))),
  ...(COLD ? { npm_config_cache: join(folder, 'npm-cache') } : {}),
};
const running: ChildProcess[] = [];

/** Runs a command line to its end and returns what it printed. */
function shell(line: string, timeout = INSTALL_MS_MAX): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
    cwd: clone,
    env,
    timeout,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${line}: ended with ${String(status)}\n${stdout}${stderr}`);
  return stdout;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const late = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), END_MS_MAX);
  // As Ctrl-C does: npm and what it started.
  process.kill(-child.pid, 'SIGINT');
  await ended;
  clearTimeout(late);
}

async function sendPayload(page: Page, protocol: Protocol): Promise<number> {
  protocol.step('press Generate Payload');
  await page.getByRole('button', { name: 'Generate Payload' }).click();
  const script = await page.getByTestId('payload-input').inputValue();
  protocol.step('press Send Payload');
  await page.getByRole('button', { name: 'Send Payload' }).click();
  await page.locator('[data-testid=send-status][data-state=sent]').waitFor();
  return Number(/sleep\((\d+)\)/.exec(script)?.[1] ?? NaN);
}

async function main(): Promise<void> {
  if (CHROMIUM === undefined) throw new Error('chromium is needed');
  const protocol = new Protocol();
  protocol.step('git clone, cd');
  const cloned = spawnSync('git', ['clone', '--quiet', '--no-hardlinks', FROM, clone], { encoding: 'utf8' });
  if (cloned.status !== 0) throw new Error(cloned.stderr);
  const told = instructions(readFileSync(join(clone, 'README.md'), 'utf8'));

  // One line of the README; parted here to see what takes how long.
  protocol.step(`${told.install} && ${told.start}`);
  shell(told.install);
  const installed = protocol.shows('npm ci has ended');
  const start = spawn('sh', ['-c', told.start], {
    cwd: clone,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(start);
  let printed = '';
  start.stdout.on('data', (text: Buffer) => (printed += text.toString('utf8')));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
  try {
    await eventually(
      'npm start says that it runs',
      () => {
        if (start.exitCode !== null) throw new Error(`npm start ended:\n${printed}`);
        return printed.includes(told.address);
      },
      READY_MS_MAX,
    );
    const ready = protocol.shows('npm start has printed the address');

    const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
    protocol.step(`open ${told.address}`);
    await page.goto(told.address);
    const firstSleep = await sendPayload(page, protocol);
    const beforeHello = performance.now();
    const hello = shell(told.hello);
    if (hello.trim() !== 'hello') throw new Error(`${told.hello}: ${hello}`);
    const helloMs = performance.now() - beforeHello;
    await page.locator('[data-task-id][data-status=succeeded]').nth(1).waitFor({ timeout: RESULT_MS_MAX });
    const firstResult = protocol.shows(`its result is there (it slept for ${firstSleep} s)`);

    const secondSleep = await sendPayload(page, protocol);
    await page.locator('[data-task-id][data-status=running]').first().waitFor();
    const master = await page.getByTestId('master').first().getAttribute('data-master');
    protocol.step(`press Stop of ${master}, the master`);
    const crashedMs = performance.now();
    await page.locator(`[data-testid=node][data-node="${master}"]`).getByTestId('node-stop').click();
    await page
      .locator(`[data-testid=master]:not([data-master="${master}"]):not([data-master=""])`)
      .first()
      .waitFor();
    const newMasterMs = performance.now() - crashedMs;
    protocol.shows('another master is shown');
    await page.locator('[data-task-id][data-status=succeeded]').nth(2).waitFor({ timeout: RESULT_MS_MAX });
    const survived = protocol.shows(`the result is there (it slept for ${secondSleep} s)`);

    console.log(
      JSON.stringify({
        first_use: {
          npm_cache: COLD ? 'cold' : 'as it was',
          installed_s: installed.s,
          ready_s: ready.s,
          npm_start_s: Math.round((ready.s - installed.s) * 10) / 10,
          first_result: { ...firstResult, of_which_the_payload_slept_s: firstSleep },
          terminal: { steps: 3, hello_s: Math.round(helloMs / 100) / 10 },
          crash_survived: { ...survived, of_which_the_payload_slept_s: secondSleep },
          new_master_shown_ms: Math.round(newMasterMs),
        },
      }),
    );
  } finally {
    await browser.close();
  }
}

try {
  await main();
} finally {
  for (const child of running) await end(child);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
