/**
 * Runs seeds until one fails: `hunt-main.ts KIND FIRST COUNT`, in the sources it stands in (a copy with a bug).
 * Prints {@link HuntResult} as JSON.
 */
import { KIND_NAMES, runSeed } from '../runs.ts';
import { SimFailure } from '../sim-failure.ts';
import { RunFailure } from '../world.ts';
import type { HuntResult } from './hunt.ts';

const [kindName, first, count] = process.argv.slice(2);
const kind = KIND_NAMES.find((name) => name === kindName);
if (kind === undefined) throw new Error(`unknown kind ${String(kindName)}`);

function describe(error: unknown): Pick<NonNullable<HuntResult['catch']>, 'invariant' | 'message'> {
  const cause: unknown = error instanceof RunFailure ? error.cause : error;
  if (cause instanceof SimFailure) return { invariant: cause.invariant, message: cause.message };
  return { invariant: null, message: cause instanceof Error ? cause.message : String(cause) };
}

async function hunt(from: number, until: number): Promise<HuntResult> {
  for (let seed = from; seed < until; seed++) {
    try {
      await runSeed(kind ?? 'core', seed);
    } catch (error) {
      return { catch: { seed, ...describe(error) } };
    }
  }
  return { catch: null };
}

const result = await hunt(Number(first), Number(first) + Number(count));
process.stdout.write(JSON.stringify(result), () => process.exit(0));
