/** As much of the library `bullmq` as its benchmark uses. It is no dependency of this project, nor are its types. */
import { peerLibrary } from './harness.ts';

export interface BullmqLibrary {
  readonly Queue: new (name: string, options: { readonly connection: Connection }) => Queue;
  readonly Worker: new (
    name: string,
    process: (job: Job) => Promise<unknown>,
    options: {
      readonly connection: Connection;
      readonly concurrency: number;
      readonly removeOnComplete: KeepJobs;
    },
  ) => Worker;
}

export interface Connection {
  readonly host: string;
  readonly port: number;
}

export interface Job {
  readonly id: string;
}

/** How many finished jobs Redis keeps. */
export interface KeepJobs {
  readonly count: number;
}

export interface NewJob {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly opts: { readonly removeOnComplete: KeepJobs };
}

export interface Queue {
  add(name: string, data: NewJob['data'], options: NewJob['opts']): Promise<Job>;
  addBulk(jobs: readonly NewJob[]): Promise<readonly Job[]>;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

export interface Worker {
  on(event: 'completed', listener: (job: Job) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  waitUntilReady(): Promise<unknown>;
}

export function bullmqLibrary(): BullmqLibrary {
  return peerLibrary('bullmq', ['ioredis']) as BullmqLibrary;
}

/** What the worker's process says. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  /** A job that never ends has begun. */
  | { readonly kind: 'began' }
  | { readonly kind: 'completed'; readonly ids: readonly string[] };
