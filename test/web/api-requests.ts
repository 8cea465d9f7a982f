/** Requests made up from the description of the API, right ones and wrong ones. */
import { request } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';
import type { ApiDescription, Described, Got, Operation } from './api-description.ts';
import { Maker } from './json-schema.ts';
import type { Dice } from './json-schema.ts';

const TEXTS: ReadonlyMap<string, string> = new Map([
  ['wait', '5ms'],
  ['cursor', '7'],
  ['since', '2026-01-02T03:04:05.678Z'],
  ['until', '1767323045000'],
]);

/** A request made up. */
export interface Made {
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string | Buffer | null;
  /** What the description says of it; `null`: not only the description decides. */
  readonly valid: boolean | null;
}

export interface RequestsOptions {
  /** A node that may be drained, stopped, and so on; the others are named less often. */
  readonly node?: string;
  /** What stands in a path of this operation, instead of any of the ids there are. */
  readonly inPath?: (operationId: string, parameter: string, id: string) => string;
  /** A body that is right, as it may be sent here. */
  readonly tame?: (body: unknown) => unknown;
}

/** Makes requests up from the description, and keeps the ids it learns of. The same dice, the same requests but for those ids. */
export class Requests {
  readonly #described: ApiDescription;
  readonly #dice: Dice;
  readonly #maker: Maker;
  readonly #options: RequestsOptions;
  /** One that is there. */
  schedule: string | undefined;
  readonly ids: string[] = ['server1', 'worker1', 'nothing', 'task00', 'x'.repeat(70), 'ünï/c?de', '..'];

  constructor(described: ApiDescription, dice: Dice, options: RequestsOptions = {}) {
    this.#described = described;
    this.#dice = dice;
    this.#maker = new Maker(described.requests, dice);
    this.#options = options;
  }

  make({ path, operation }: Operation): Made {
    const dice = this.#dice;
    const query = new URLSearchParams();
    const headers: OutgoingHttpHeaders = {};
    let target = path;
    let valid: boolean | null = true;
    for (const { name, in: where, schema } of operation.parameters ?? []) {
      if (where === 'path') {
        const there = path.startsWith('/v1/nodes/')
          ? (this.#options.node ?? 'worker1')
          : path.startsWith('/v1/schedules/')
            ? this.schedule
            : this.ids.at(-1);
        const other = dice.pick(this.ids);
        const any = dice.oneIn(2) && there !== undefined ? there : other;
        const id = this.#options.inPath?.(operation.operationId, name, any) ?? any;
        target = target.replace(`{${name}}`, encodeURIComponent(id));
        // What a server may be called is told in words.
        if (path.startsWith('/v1/raft/peers/')) valid = null;
        continue;
      }
      if (!dice.oneIn(3)) continue;
      const wrong = dice.oneIn(5);
      // A wait that is right may still be long, times are texts of a pattern, and a number is a text on its way.
      const value = wrong ? this.#maker.changed(schema) : (TEXTS.get(name) ?? this.#maker.valid(schema));
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      // Headers that are too long (16 KiB) are refused before they are a request.
      if (where === 'query') query.append(name, text.slice(0, 1_000));
      else headers[name] = text.replace(/[^\x21-\x7e]/g, '_').slice(0, 2_000);
      if (wrong) valid = null;
    }
    if (dice.oneIn(25)) {
      query.append(dice.pick(['limit', 'wait', 'nonsense']), 'x');
      valid = null;
    }
    // Not for a schema to say: whether a range is too long, and what is a cron expression.
    if (['getRaftLog', 'addSchedule'].includes(operation.operationId)) valid = null;
    const body = this.#body(operation.requestBody, headers);
    if (body.valid !== true) valid = valid === null ? null : body.valid;
    const text = query.toString();
    return { path: text === '' ? target : `${target}?${text}`, headers, body: body.body, valid };
  }

  #body(described: Described['requestBody'], headers: OutgoingHttpHeaders): Pick<Made, 'body' | 'valid'> {
    if (described === undefined) return { body: null, valid: true };
    const dice = this.#dice;
    const { schema, example } = described.content['application/json'];
    headers['content-type'] = 'application/json';
    if (dice.oneIn(12)) {
      if (dice.oneIn(4)) headers['content-type'] = 'text/plain';
      if (dice.oneIn(4)) headers['content-encoding'] = 'gzip';
      const bad = ['{', '[1,]', '"', 'null', Buffer.from([0xff, 0xfe]), ' '.repeat(70_000), '[[[[{}]]]]'];
      return { body: dice.pick(bad), valid: null };
    }
    if (!described.required && dice.oneIn(2)) return { body: null, valid: true };
    const made = dice.oneIn(4)
      ? example
      : dice.oneIn(3)
        ? this.#maker.changed(schema)
        : this.#maker.valid(schema);
    const right = this.#described.requests.wrong(schema, made) === null;
    const value = right ? (this.#options.tame?.(made) ?? made) : made;
    const valid = this.#described.requests.wrong(schema, value) === null;
    // In a batch that is not atomic a wrong task is a result of its own.
    const each = typeof value === 'object' && value !== null && 'atomic' in value && value.atomic === false;
    // Nor is it for a schema to say that a file is there twice.
    const plain = !JSON.stringify(value).includes('__proto__') && !namesFileTwice(value);
    return { body: JSON.stringify(value), valid: plain && !each ? valid : null };
  }
}

/** Anywhere in what is asked for: a task, a batch of them, a schedule. */
function namesFileTwice(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { files } = value as { readonly files?: unknown };
  const paths = Array.isArray(files)
    ? files.map((file: unknown) => JSON.stringify(file).match(/"path":"[^"]*"/)?.[0])
    : [];
  return new Set(paths).size !== paths.length || Object.values(value).some(namesFileTwice);
}

/** Of an answer that may be without end (events, output that is followed) only the beginning. */
export function send(address: string, method: string, made: Made): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${address}`, {
      path: made.path,
      method,
      agent: false,
      headers: made.headers,
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const got = { status: response.statusCode ?? 0, headers: response.headers };
      const chunks: Buffer[] = [];
      response.on('error', reject);
      const isEndless =
        String(response.headers['content-type']).startsWith('text/event-stream') ||
        (got.status === 200 && made.path.includes('follow=true'));
      if (isEndless) {
        resolve({ ...got, text: '' });
        outgoing.destroy();
        return;
      }
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ ...got, text: Buffer.concat(chunks).toString('utf8') }));
    });
    outgoing.end(made.body ?? undefined);
  });
}
