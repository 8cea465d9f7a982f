import type { Logger } from 'pino';
import { NodeFault, Retirement } from './faults.ts';
import type { SupervisedMessage } from './faults.ts';
import { trimHeapAfterStart } from './heap-trim.ts';

/** A node told to end exits within this time, whatever hangs (contract §2). */
export const STOP_TIMEOUT_MS = 9_500;

export interface RunnableNode {
  /** Resolves once it serves. */
  start(): Promise<void>;
  /** In order: hand over, give back, flush. */
  stop(): Promise<void>;
}

/** Resolves, once, with the first reason to end: a signal, the supervisor gone, or a fault the node found in itself. */
export class EndOfLife {
  readonly reached: Promise<string | NodeFault | Retirement>;
  #resolve: (reason: string | NodeFault | Retirement) => void = () => undefined;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(reason: string | NodeFault | Retirement): void {
    this.#resolve(reason);
  }
}

function tellSupervisor(message: SupervisedMessage): void {
  if (process.send !== undefined && process.connected) process.send(message);
}

/**
 * Builds a node and runs it until the process is told to end. SIGTERM, SIGINT, SIGHUP and the loss of a supervisor end it in order; a
 * fault (storage, a bug) ends it at once.
 * @throws NodeFault when it could not start or had to give up.
 */
export async function runNode(create: () => RunnableNode, endOfLife: EndOfLife, log: Logger): Promise<void> {
  const onSignal = (signal: NodeJS.Signals): void => endOfLife.end(signal);
  const onDisconnect = (): void => endOfLife.end('the supervisor is gone');
  const onBug = (error: unknown): void => {
    log.fatal({ err: error }, 'a bug: the process ends');
    endOfLife.end(new NodeFault('CRASH', error instanceof Error ? error.message : String(error), error));
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('SIGHUP', onSignal);
  process.on('disconnect', onDisconnect);
  process.on('uncaughtException', onBug).on('unhandledRejection', onBug);

  trimHeapAfterStart();

  let node: RunnableNode | null = null;
  let reason: string | NodeFault | Retirement;
  try {
    node = create();
    const started = node.start().then(() => tellSupervisor({ kind: 'ready' }));
    reason = await Promise.race([endOfLife.reached, started.then(() => endOfLife.reached)]);
  } catch (error) {
    reason =
      error instanceof NodeFault
        ? error
        : new NodeFault('CRASH', error instanceof Error ? error.message : String(error), error);
  }
  if (reason instanceof NodeFault) {
    log.error({ code: reason.code, err: reason.cause }, reason.message);
    tellSupervisor({ kind: 'fault', code: reason.code, message: reason.message, restart: reason.restart });
    throw reason;
  }
  if (reason instanceof Retirement) {
    log.warn(reason.message);
    tellSupervisor({ kind: 'retired', message: reason.message });
  } else {
    log.info({ reason }, 'ending in order');
  }
  const timer = setTimeout(() => {
    log.warn(`still not done after ${STOP_TIMEOUT_MS} ms: ending anyway`);
    process.exit(0);
  }, STOP_TIMEOUT_MS);
  timer.unref();
  await node?.stop();
  clearTimeout(timer);
  if (process.connected) process.disconnect();
}
