/** The payload that *Generate Payload* offers: it pretends to work for a while and then adds two numbers. */

const SECONDS_MIN = 10;
const SECONDS_MAX = 60;
const ADDEND_MIN = 1;
const ADDEND_MAX = 10;

/** A number in [0, 1), as Math.random gives it. */
export type Random = () => number;

function wholeBetween(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** A Python script with its numbers already drawn, so that a repetition of the task does the same. */
export function generatePayload(random: Random = Math.random): string {
  const seconds = wholeBetween(random, SECONDS_MIN, SECONDS_MAX);
  const a = wholeBetween(random, ADDEND_MIN, ADDEND_MAX);
  const b = wholeBetween(random, ADDEND_MIN, ADDEND_MAX);
  return [
    'import time',
    '',
    `# Stands in for ${String(seconds)} seconds of work, then reports a sum.`,
    `time.sleep(${String(seconds)})`,
    `print(${String(a)} + ${String(b)})`,
    '',
  ].join('\n');
}

const GENERATED = /^import time\n\n# [^\n]*\ntime\.sleep\((\d{1,4})\)\nprint\(\d+ \+ \d+\)\n?$/;

/** How long a generated payload will take, for the progress shown beside it; null for any other text. */
export function expectedMs(script: string): number | null {
  const seconds = GENERATED.exec(script)?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}
