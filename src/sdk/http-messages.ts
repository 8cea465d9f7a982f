/** One request to one server, and its whole answer. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  /** JSON text. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Until the whole answer is there (of a stream: until its headers are). */
  readonly timeoutMs: number;
  /** On a connection of its own: for what must not be repeated, since a kept one may be closed just as it is used. */
  readonly fresh?: boolean;
  /** Without axios in between. */
  readonly direct?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
}
