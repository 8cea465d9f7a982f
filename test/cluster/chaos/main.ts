/**
 * `node --import tsx test/cluster/chaos/main.ts [--minutes 10] [--tasks 10000] [--seed N]` (build first): that many tasks with
 * dependencies and retries on real processes, any of which is killed by kill -9 every few seconds; then every task must be final as its
 * place in the graph says, recorded once, and never have been alive twice. Prints one JSON line; exits with 1 if anything is amiss.
 */
import { randomInt } from 'node:crypto';
import { chaos } from './run.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}

const began = performance.now();
const report = await chaos({
  tasks: option('--tasks', 10_000),
  seconds: 60 * option('--minutes', 10),
  seed: option('--seed', randomInt(1_000_000)),
  say: (line) => console.error(`${Math.round((performance.now() - began) / 1_000)} s: ${line}`),
});
console.log(JSON.stringify({ chaos: report }));
process.exitCode = report.violations.length === 0 ? 0 : 1;
