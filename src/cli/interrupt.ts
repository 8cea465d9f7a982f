/** Ctrl-C on a command that waits: it detaches, it does not cancel. */
import { setMaxListeners } from 'node:events';
import { CliError, EXIT } from './exit-code.ts';

/**
 * Runs `work` with a signal that is aborted by the first Ctrl-C or SIGTERM; the command then ends with 130 (143) and the
 * hint. A second Ctrl-C ends the process at once.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  hint: () => string,
): Promise<T> {
  const controller = new AbortController();
  // Many waits may share it.
  setMaxListeners(0, controller.signal);
  const onSignal = (name: NodeJS.Signals): void => {
    const code = name === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    if (controller.signal.aborted) process.exit(code);
    controller.abort(new CliError(code, hint()));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
