/** As much of the library `nats` (2.x) as its benchmark uses. It is no dependency of this project, nor are its types. */

export interface NatsLibrary {
  readonly connect: (options: {
    readonly servers: readonly string[];
    /** -1: for ever. */
    readonly maxReconnectAttempts?: number;
  }) => Promise<NatsConnection>;
  readonly RetentionPolicy: { readonly Workqueue: string };
  readonly StorageType: { readonly File: string };
  readonly AckPolicy: { readonly Explicit: string };
  /** Milliseconds as the nanoseconds that JetStream wants. */
  readonly nanos: (ms: number) => number;
}

export interface NatsConnection {
  jetstream(options?: { readonly timeout: number }): JetStream;
  jetstreamManager(options?: { readonly timeout: number }): Promise<JetStreamManager>;
  close(): Promise<void>;
}

export interface JetStream {
  /** Resolves when the stream has acknowledged the message. */
  publish(subject: string, payload: Uint8Array): Promise<unknown>;
  readonly consumers: {
    get(
      stream: string,
      durable: string,
    ): Promise<{ consume(options: { readonly max_messages: number }): Promise<ConsumerMessages> }>;
  };
}

export interface ConsumerMessages extends AsyncIterable<JetStreamMessage> {
  close(): Promise<unknown>;
}

export interface JetStreamMessage {
  readonly data: Uint8Array;
  /** Acknowledges, and resolves when that has been acknowledged in turn. */
  ackAck(): Promise<boolean>;
}

export interface JetStreamManager {
  readonly streams: {
    add(options: Readonly<Record<string, unknown>>): Promise<unknown>;
    info(stream: string): Promise<{ readonly cluster?: { readonly leader?: string } }>;
    purge(stream: string): Promise<unknown>;
  };
  readonly consumers: {
    add(stream: string, options: Readonly<Record<string, unknown>>): Promise<unknown>;
    delete(stream: string, durable: string): Promise<unknown>;
  };
}
