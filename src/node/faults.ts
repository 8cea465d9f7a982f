/**
 * Why a node could not start or had to give up. `restart: false` tells a supervisor (`clb up`) that starting it again
 * would fail in the same way: someone has to change something first.
 */
export class NodeFault extends Error {
  readonly code: 'CONFIG' | 'PORT_IN_USE' | 'STORAGE' | 'CRASH';
  readonly exitCode: number;
  readonly restart: boolean;

  constructor(code: NodeFault['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'NodeFault';
    this.code = code;
    // Contract §3: 2 = usage, 1 = any other error.
    this.exitCode = code === 'CONFIG' ? 2 : 1;
    this.restart = code === 'CRASH';
  }
}

/** What a node tells the supervisor over the IPC channel before it ends by itself. */
export interface FaultMessage {
  readonly kind: 'fault';
  readonly code: NodeFault['code'];
  readonly message: string;
  readonly restart: boolean;
}

/** What a node tells the supervisor once it serves. */
export interface ReadyMessage {
  readonly kind: 'ready';
}

/** What a node tells the supervisor that ends for good, in order: it is not to be started again, the others go on. */
export interface RetiredMessage {
  readonly kind: 'retired';
  readonly message: string;
}

/** A reason to end in order, and for good. */
export class Retirement {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export type SupervisedMessage = FaultMessage | ReadyMessage | RetiredMessage;

export function isSupervisedMessage(value: unknown): value is SupervisedMessage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === 'fault' || value.kind === 'ready' || value.kind === 'retired')
  );
}

/**
 * Turns what a part of the node threw into a fault. Storage faults are not for a restart to mend: the next start would
 * find the same.
 */
export function storageFault(error: unknown, dataDir: string): NodeFault {
  if (error instanceof NodeFault) return error;
  const codes = codesOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (codes.some((code) => code.endsWith('_LOCKED'))) {
    return new NodeFault('STORAGE', `the data folder ${dataDir} is in use by another process`, error);
  }
  const isStorage = codes.some((code) =>
    /^(STORAGE_|LEVEL_|UNKNOWN_OP|SNAPSHOT_FORMAT|OUTBOX_|ENOSPC|EIO|EROFS|EACCES)/.test(code),
  );
  return new NodeFault(
    isStorage ? 'STORAGE' : 'CRASH',
    isStorage ? `data folder ${dataDir}: ${message}` : message,
    error,
  );
}

/** The `code` of an error and of its causes. */
function codesOf(error: unknown): readonly string[] {
  const codes: string[] = [];
  let at: unknown = error;
  for (let depth = 0; depth < 8 && at instanceof Error; depth += 1) {
    if ('code' in at && typeof at.code === 'string') codes.push(at.code);
    at = at.cause;
  }
  return codes;
}
