/**
 * Milliseconds of the machine-wide monotonic clock (CLOCK_MONOTONIC): the same in every process of this machine, so that
 * worker and launcher can speak of one moment; unrelated to the time of day, and standing still while the machine sleeps.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
