/** How the library's calls can be told to behave. */

export interface ClbOptions {
  /** host:port each; any server (or the client node) will do. No other address is ever dialed. */
  readonly servers?: readonly string[];
  readonly token?: string;
  /** For one answer; after it the next address is tried. Default 10 s. */
  readonly timeoutMs?: number;
  /** How long a call goes on while something may change soon (an election, say). Default 10 s. */
  readonly retryMs?: number;
  /** … while every address refuses connections, is stopped or says that there is no majority. Default 2 s. */
  readonly hopelessMs?: number;
  /** How long `wait`, `logs` and `subscribe` outlast an outage. Default 5 min. */
  readonly outageMs?: number;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends CallOptions {
  /** What the server asked has, without a majority's word that it is the newest. */
  readonly stale?: boolean;
}

export interface WaitOptions extends CallOptions {
  /** After it the task is returned as it is then, final or not. Absent: no limit. */
  readonly timeoutMs?: number;
}

/** What every request carries. */
export function requestHeaders(options: ClbOptions): Readonly<Record<string, string>> {
  return {
    accept: 'application/json',
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    ...options.headers,
  };
}
