/**
 * The original project's log lines ("Received payload: ID", …). Parts that have something to tell get a
 * `writeLine`; the node keeps the lines for /logging, prints them as `CONTAINER_ID,LINE` and ships them to the database.
 */
export type WriteLine = (line: string) => void;

export interface LogLine {
  /** Number of the line on this node since it started (on the database: since ever), from 1. */
  readonly seq: number;
  readonly at: string;
  readonly text: string;
}

/** What /logging shows. */
export interface LogLines {
  lines(): readonly LogLine[];
  /** Calls back for every further line; returns the unsubscriber. */
  subscribe(listener: (line: LogLine) => void): () => void;
}

/** The wording is part of the interface (contract §5). `port` is the receiving node's own. */
export const LINES = {
  createdPayload: (id: string) => `Created payload: ${id}`,
  sentForExecution: (id: string, port: number) => `Sent payload: ${id} for execution to port: ${port}`,
  receivedPayload: (id: string) => `Received payload: ${id}`,
  cpu: (percent: number) => `The CPU usage is: ${percent.toFixed(1)}`,
  ram: (percent: number) => `RAM memory /%/ used: ${percent.toFixed(1)}`,
  sentToLeader: (id: string, port: number) => `Sent result: ${id} for leader to port: ${port}`,
  receivedResult: (id: string) => `Received result: ${id}`,
  sentToClient: (id: string, port: number) => `Sent result: ${id} for client to port: ${port}`,
  isMaster: 'Is master container',
  workerCrashed: 'Worker has crashed',
  leaderCrashed: 'Leader has crashed',
  crash: 'CRASH :(',
  recovered: 'RECOVERED :)',
  faultInjected: (fault: string, forMs: number) => `Fault injected: ${fault} for ${forMs} ms`,
  faultEnded: (fault: string) => `Fault ended: ${fault}`,
} as const;

/** Body every stopped node answers with, status 418 (contract §6). */
export const STOPPED_TEXT = 'I am simulating a crash, please do not bother me';
