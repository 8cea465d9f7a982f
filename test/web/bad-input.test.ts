/**
 * Goal: whoever sends something wrong is told which field, what value (shortened) and what limit. Method: every field of
 * every body and every parameter of the API's own description is violated in each way its schema names (type, range,
 * length, number, form, choice), and each time the message must say these three. The library is told the same in the same
 * words.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Clb, ClbError } from '../../src/sdk/index.ts';
import type { TaskRequest } from '../../src/api/tasks.ts';
import { openApiDocument } from '../../src/web/openapi/document.ts';
import { ApiDescription } from './api-description.ts';
import type { Operation } from './api-description.ts';
import type { JsonSchema } from './json-schema.ts';
import { ask, closeAll, startServer } from './nodes.ts';
import type { TestAnswer, TestServer } from './nodes.ts';

const api = new ApiDescription(openApiDocument('0.0.0'));
const MESSAGE_CHARS_MAX = 500;
/** Longer than anything is shown. */
const LONG_CHARS = 5_000;
/** Bigger bodies are refused for their size. */
const ITEMS_MAX = 5_000;

type Path = readonly (string | number)[];

/** A value at a place where it may not stand, and what must be said of it. */
interface Violation {
  readonly at: Path;
  readonly value: unknown;
  readonly says: readonly string[];
}

function fieldName(path: Path): string {
  return path
    .map((part, n) => (typeof part === 'number' ? `[${part}]` : n === 0 ? part : `.${part}`))
    .join('');
}

/** Each way to violate the schema, there and in what it contains. */
function violations(given: JsonSchema, at: Path): readonly Violation[] {
  const schema = api.requests.resolve(given);
  const found: Violation[] = [];
  const add = (value: unknown, ...says: readonly (string | number)[]): void => {
    found.push({ at, value, says: says.map(String) });
  };
  const choices = schema['enum'] as readonly string[] | undefined;
  const types = [schema['type'] ?? []].flat().map(String);
  if (choices !== undefined) {
    add('y'.repeat(LONG_CHARS), '"yyyyy', `(${LONG_CHARS} characters)`, ...choices);
    return found;
  }
  if (types.includes('integer') || types.includes('number')) {
    const { minimum, maximum } = schema as { readonly minimum?: number; readonly maximum?: number };
    if (maximum !== undefined) add(maximum + 1, maximum + 1, maximum);
    if (minimum !== undefined) add(minimum - 1, minimum - 1, minimum);
    if (types.includes('integer')) add(1.5, 1.5, 'whole number');
    add('many', '"many"', 'number');
  } else if (types.includes('string')) {
    const { maxLength, minLength, pattern } = schema as Readonly<Record<string, string | number>>;
    if (maxLength !== undefined) {
      add(textOf(Number(maxLength) + 1, String(pattern ?? '')), Number(maxLength) + 1, maxLength);
    }
    if (minLength === 1) add('', ...(pattern === undefined ? [1] : []));
    if (pattern !== undefined) add('\0'.repeat(300), '"\\u0000\\u0000');
    add(17, 17, 'string');
  } else if (types.includes('boolean')) {
    add('maybe', '"maybe"', 'boolean');
  } else if (types.includes('array')) {
    const { maxItems, minItems } = schema as { readonly maxItems?: number; readonly minItems?: number };
    if (maxItems !== undefined && maxItems < ITEMS_MAX) {
      const item = exampleOf((schema['items'] ?? {}) as JsonSchema);
      add(Array(maxItems + 1).fill(item), maxItems + 1, maxItems);
    }
    if (minItems === 1) add([], 1);
    add(17, 17, 'array');
    found.push(...violations((schema['items'] ?? {}) as JsonSchema, [...at, 0]));
  } else if (types.includes('object')) {
    add('x', '"x"', 'object');
    const properties = (schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>;
    for (const [name, one] of Object.entries(properties)) found.push(...violations(one, [...at, name]));
    const { maxProperties, additionalProperties } = schema as {
      readonly maxProperties?: number;
      readonly additionalProperties?: JsonSchema | false;
    };
    if (maxProperties !== undefined) {
      const many = Array.from({ length: maxProperties + 1 }, (_, n) => [`k${n}`, 'v']);
      add(Object.fromEntries(many), maxProperties + 1, maxProperties);
    }
    if (typeof additionalProperties === 'object')
      found.push(...violations(additionalProperties, [...at, 'key']));
    else found.push({ at: [...at, 'nonsense'], value: 1, says: ['unknown field'] });
  }
  return found;
}

/** So long, and otherwise right. */
function textOf(chars: number, pattern: string): string {
  // No part of it too long for the name of a file.
  const plain = (length: number): string => `${'x'.repeat(99)}/`.repeat(length).slice(0, length - 1) + 'x';
  const texts = [plain(chars), `/${plain(chars - 1)}`, `${'x'.repeat(chars - 2)}:1`];
  const fitting = texts.find((text) => new RegExp(pattern, 'u').test(text));
  if (fitting === undefined) throw new Error(`no text for ${pattern}`);
  return fitting;
}

/** Something that is right there. */
function exampleOf(given: JsonSchema): unknown {
  const { type, properties } = api.requests.resolve(given);
  if (type !== 'object') return type === 'integer' ? 1 : 'x';
  const fields = Object.entries(properties as Readonly<Record<string, JsonSchema>>);
  return Object.fromEntries(
    fields.map(([name, one]) => [name, name === 'contentBase64' ? '' : exampleOf(one)]),
  );
}

/** `whole` with `value` at `path`; what is not there on the way is made. */
function withAt(whole: unknown, [first, ...rest]: Path, value: unknown): unknown {
  if (first === undefined) return value;
  const inner = (whole as Readonly<Record<string, unknown>> | undefined)?.[first];
  const filled = withAt(inner ?? needed(first), rest, value);
  if (typeof first !== 'number') return { ...(whole as object), [first]: filled };
  const items = Array.isArray(whole) ? [...(whole as unknown[])] : [];
  items[first] = filled;
  return items;
}

/** What else is wanted where a file stands. */
function needed(at: string | number): unknown {
  return at === 'files' ? [{ path: 'a', contentBase64: '' }] : undefined;
}

function assertSays(message: string, field: string, says: readonly string[]): void {
  assert.ok(message.startsWith(`${field}: `) || message.startsWith(`${field}[`), `${field} in: ${message}`);
  for (const part of says) assert.ok(message.includes(part), `${JSON.stringify(part)} in: ${message}`);
  assert.ok(message.length <= MESSAGE_CHARS_MAX, `${message.length} characters`);
}

function violationsOf({ operation }: Operation): readonly Violation[] {
  const body = operation.requestBody?.content['application/json'];
  // Where nothing is expected there are no fields.
  if (body === undefined || Object.keys(body.example as object).length === 0) return [];
  return violations(body.schema, []).filter(({ at }) => at.length > 0);
}

/** A script and a command exclude each other, and an interpreter needs a script. */
function bodyWith(example: unknown, { at, value }: Violation): unknown {
  const task = at.findLastIndex((part) => part === 'task' || part === 0) + 1;
  const path = at.slice(0, at.includes('tasks') ? 2 : at[0] === 'task' ? 1 : 0);
  const field = at[path.length];
  const makes = (body: unknown): unknown => {
    if (field === 'command') return withAt(body, [...path, 'script'], undefined);
    if (field !== 'script' && field !== 'interpreter') return body;
    const withScript = withAt(body, [...path, 'command'], undefined);
    return withAt(withScript, [...path, 'script'], 'print(1)');
  };
  return task >= 0 ? withAt(makes(example), at, value) : example;
}

describe('a body that is wrong in one field', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({
      stopNode: (_id, stopped) => Promise.resolve(stopped),
      injectFault: (node) => Promise.resolve({ node, faults: [] }),
    });
  });
  after(closeAll);

  for (const operation of api.operations.filter((one) => violationsOf(one).length > 0)) {
    const { operationId, requestBody } = operation.operation;
    it(`${operationId}: the message names field, value and limit`, async () => {
      const { example } = requestBody?.content['application/json'] ?? {};
      for (const violation of violationsOf(operation)) {
        const path = operation.path.replace('{id}', 'worker1');
        const body = bodyWith(example, violation);
        const answer = await ask(server.address, path, { method: operation.method, body });
        const field = fieldName(violation.at);
        assert.equal(answer.status, 400, `${field}: ${answer.text}`);
        const { message, details } = answer.json.error;
        const problem = details.problems.find((one) => one.field.startsWith(field));
        assert.ok(problem !== undefined, `${field} in ${answer.text}`);
        assertSays(`${problem.field}: ${problem.message}`, field, violation.says);
        assert.ok(message.length <= MESSAGE_CHARS_MAX, message);
      }
    });
  }

  it('says what came where nothing is expected', async () => {
    const { id } = server.cluster.add({ status: 'failed' });
    for (const path of [`/v1/tasks/${id}/retry`, `/v1/tasks/${id}/cancel`, '/v1/raft/snapshot']) {
      const answer = await ask(server.address, path, { body: { nonsense: 'x'.repeat(LONG_CHARS) } });
      assert.equal(answer.status, 400);
      assertSays(answer.json.error.message, 'body', ['nonsense', 'nothing is expected', `characters)`]);
    }
  });

  it('tells the library the same', async () => {
    const clb = new Clb({ servers: [server.address] });
    try {
      const [submit] = api.operations.filter(({ operation }) => operation.operationId === 'submitTask');
      assert.ok(submit !== undefined);
      for (const violation of violationsOf(submit)) {
        const task = bodyWith({ command: ['true'] }, violation) as TaskRequest;
        const field = fieldName(violation.at);
        await assert.rejects(clb.submit(task), (error) => {
          assert.ok(error instanceof ClbError, field);
          assert.equal(error.code, 'INVALID');
          const { problems } = error.details as TestAnswer['json']['error']['details'];
          const problem = problems.find((one) => one.field.startsWith(field));
          assertSays(`${problem?.field}: ${problem?.message}`, field, violation.says);
          assert.ok(error.message.includes(problems[0]?.message ?? '-'));
          return true;
        });
      }
    } finally {
      clb.close();
    }
  });
});

describe('a parameter that is wrong', () => {
  let server: TestServer;
  before(async () => (server = await startServer()));
  after(closeAll);

  for (const operation of api.operations.filter(
    ({ operation: { parameters } }) => parameters !== undefined,
  )) {
    const bad = (operation.operation.parameters ?? [])
      .filter((parameter) => parameter.in !== 'path')
      .flatMap((parameter) =>
        wrongTexts(parameter.schema).map(([text, says]) => ({ parameter, text, says })),
      );
    if (bad.length === 0) continue;
    it(`${operation.operation.operationId}: the message names parameter, value and limit`, async () => {
      const task = server.cluster.add({});
      for (const { parameter, text, says } of bad) {
        const { name } = parameter;
        const query = parameter.in === 'query' ? `?${name}=${encodeURIComponent(text)}` : '';
        const answer = await ask(server.address, `${operation.path.replace('{id}', task.id)}${query}`, {
          method: operation.method,
          ...(parameter.in === 'header' ? { headers: { [name]: text } } : {}),
          ...(operation.method === 'POST' ? { body: { command: ['true'] } } : {}),
        });
        assert.equal(answer.status, 400, `${name}=${text.slice(0, 80)}: ${answer.text.slice(0, 200)}`);
        assertSays(answer.json.error.message, name === 'after' ? 'Last-Event-ID' : name, says);
      }
    });
  }
});

/** Texts that a parameter of the schema may not be, and what must be said of them. */
function wrongTexts(schema: JsonSchema): readonly (readonly [text: string, says: readonly string[]])[] {
  const { type, minimum, maximum, maxLength, minLength, pattern } = schema as Readonly<
    Record<string, string>
  >;
  const choices = schema['enum'] as readonly string[] | undefined;
  const long = 'z'.repeat(LONG_CHARS);
  const shown = ['"zzzzz', `(${LONG_CHARS} characters)`];
  if (choices !== undefined) return [[long, [...shown, ...choices]]];
  if (type === 'integer') {
    // Of an index of the log the limit is the log's own.
    const limits = Number(maximum) > 1_000_000 ? [] : [String(minimum), String(maximum)];
    return [
      [long, [...shown, ...limits]],
      ['-1', ['"-1"', ...limits]],
      ...(limits.length === 0 ? [] : [[String(Number(maximum) + 1), limits] as const]),
    ];
  }
  if (pattern !== undefined) return [[long, shown]];
  return [
    ...(maxLength === undefined ? [] : [[long, [String(LONG_CHARS), maxLength]] as const]),
    ...(minLength === undefined ? [] : [['', []] as const]),
  ];
}
