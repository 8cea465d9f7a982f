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

export type SupervisedMessage = FaultMessage | ReadyMessage;

export function isSupervisedMessage(value: unknown): value is SupervisedMessage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === 'fault' || value.kind === 'ready')
  );
}
