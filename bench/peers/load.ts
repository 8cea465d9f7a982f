/** The loads put on every peer alike, and how their results are summed up. */
import { quantile } from '../bench-cluster.ts';

/** What a load came to: successes per second, their latencies in milliseconds, and how many failed. */
export interface LoadResult {
  readonly per_s: number;
  readonly p50: number;
  readonly p99: number;
  readonly err: number;
}

/** `clients` at once, each repeating `request` for so many seconds, the next as soon as the last is answered. */
export async function closedLoop(
  clients: number,
  secs: number,
  request: (client: number) => Promise<unknown>,
): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  let failures = 0;
  const began = performance.now();
  const end = began + secs * 1_000;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (performance.now() < end) {
        const from = performance.now();
        try {
          await request(client);
          latenciesMs.push(performance.now() - from);
        } catch {
          failures += 1;
        }
      }
    }),
  );
  const took = (performance.now() - began) / 1_000;
  return {
    per_s: Math.round(latenciesMs.length / took),
    p50: quantile(latenciesMs, 0.5),
    p99: quantile(latenciesMs, 0.99),
    err: failures,
  };
}

/** The medians of a load that was repeated. */
export interface Summary {
  readonly per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** per_s of each repetition. */
  readonly all: readonly number[];
  /** Failures in all of them. */
  readonly err: number;
}

/**
 * Runs the named loads one after the other, all of them `times` over, so that a slow minute of the machine does not fall on
 * one of them alone.
 */
export async function repeated(
  times: number,
  loads: Readonly<Record<string, () => Promise<LoadResult>>>,
): Promise<Readonly<Record<string, Summary>>> {
  const results = new Map<string, LoadResult[]>(Object.keys(loads).map((name) => [name, []]));
  for (let time = 0; time < times; time += 1) {
    for (const [name, load] of Object.entries(loads)) results.get(name)?.push(await load());
  }
  return Object.fromEntries([...results].map(([name, runs]) => [name, summary(runs)]));
}

function summary(runs: readonly LoadResult[]): Summary {
  const median = (of: (run: LoadResult) => number): number => quantile(runs.map(of), 0.5);
  return {
    per_s: median((run) => run.per_s),
    p50_ms: median((run) => run.p50),
    p99_ms: median((run) => run.p99),
    all: runs.map((run) => run.per_s),
    err: runs.reduce((sum, run) => sum + run.err, 0),
  };
}

/** Times in milliseconds, as printed. */
export function times(all: readonly number[]): { readonly median: number; readonly all: readonly number[] } {
  return { median: quantile(all, 0.5), all };
}

/** After this it is given up: no peer takes that long by its own timeouts. */
const NO_SUCCESS_MS = 60_000;

/**
 * Makes new attempts every `everyMs`, whatever becomes of those before, and returns the milliseconds until the first of all
 * that succeeded.
 */
export function timeToFirstSuccess(
  everyMs: number,
  attempts: () => readonly Promise<unknown>[],
): Promise<number> {
  return new Promise((done, failed) => {
    const began = performance.now();
    const stop = (): void => {
      clearInterval(repeat);
      clearTimeout(limit);
    };
    const succeeded = (): void => {
      stop();
      done(Math.round(performance.now() - began));
    };
    const repeat = setInterval(() => {
      for (const attempt of attempts()) attempt.then(succeeded, () => undefined);
    }, everyMs);
    const limit = setTimeout(() => {
      stop();
      failed(new Error(`nothing succeeded within ${NO_SUCCESS_MS} ms`));
    }, NO_SUCCESS_MS);
  });
}
