/** One request each, as the calls of the library make them: paths, bodies, and which of them may be sent again. */
import type { CallOptions, ReadOptions } from './options.ts';
import { jsonOf, type Patience, type PoolAnswer, type PoolRequest, type ServerPool } from './server-pool.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
  const text = params.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** `always`: twice is the same as once. `unless-sent`: not again once it may have been received. */
export type Repeat = PoolRequest['repeat'];

export interface ChangeOptions extends CallOptions {
  /** For one answer, where it takes longer than others. */
  readonly timeoutMs?: number;
}

export interface AskOptions extends ChangeOptions {
  /** The only one to be asked, an address as given; absent: any that answers. */
  readonly server?: string | undefined;
}

export class Calls {
  readonly #pool: ServerPool;

  constructor(pool: ServerPool) {
    this.#pool = pool;
  }

  /** What a majority says, or with `stale` what some server has. */
  async read<T>(path: string, query: Query, options: ReadOptions): Promise<T> {
    const withStale = options.stale === true ? { ...query, stale: true } : query;
    return jsonOf(await this.get(withQuery(path, withStale), options)) as T;
  }

  /** The answer as it came, headers included. */
  get(path: string, options: ChangeOptions & { readonly patience?: Patience }): Promise<PoolAnswer> {
    const { patience } = options;
    return this.#pool.request({
      ...{ method: 'GET', path, repeat: 'always', ...carried(options) },
      ...(patience === undefined ? {} : { patience }),
    });
  }

  async post<T>(path: string, body: object, repeat: Repeat, options: ChangeOptions): Promise<T> {
    const request = { method: 'POST', path, body: JSON.stringify(body), repeat } as const;
    return jsonOf(await this.#pool.request({ ...request, ...carried(options) })) as T;
  }

  async delete<T>(path: string, repeat: Repeat, options: CallOptions): Promise<T> {
    return jsonOf(await this.#pool.request({ method: 'DELETE', path, repeat, ...carried(options) })) as T;
  }

  /** What one server says for itself. */
  getFrom<T>(path: string, options: AskOptions): Promise<T> {
    return this.#askOne({ method: 'GET', path, repeat: 'always' }, options);
  }

  /** Has one server do something to itself; twice is the same as once. */
  postTo<T>(path: string, options: AskOptions): Promise<T> {
    return this.#askOne({ method: 'POST', path, body: '{}', repeat: 'always' }, options);
  }

  async #askOne<T>(request: PoolRequest, options: AskOptions): Promise<T> {
    const { server } = options;
    const whole = { ...request, ...carried(options) };
    return jsonOf(
      await (server === undefined ? this.#pool.request(whole) : this.#pool.ask(server, whole)),
    ) as T;
  }
}

function carried({ signal, timeoutMs }: ChangeOptions): Pick<PoolRequest, 'signal' | 'timeoutMs'> {
  return { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}
