/** What /v1/openapi.json says, as a generic client reads it: the operations, and whether an answer is one that it describes. */
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { Checker } from './json-schema.ts';
import type { JsonSchema } from './json-schema.ts';

export interface Described {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: 'query' | 'header' | 'path';
    readonly schema: JsonSchema;
    readonly example?: unknown;
  }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: {
      readonly 'application/json': { readonly schema: JsonSchema; readonly example: unknown };
    };
  };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly headers: Readonly<Record<string, unknown>>;
        readonly content: Readonly<
          Record<
            string,
            { readonly schema: JsonSchema; readonly example?: unknown; readonly examples?: object }
          >
        >;
      }
    >
  >;
}

export interface Operation {
  /** With `{id}` where something is to be named. */
  readonly path: string;
  readonly method: string;
  readonly operation: Described;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of an answer without end only the beginning. */
  readonly text: string;
}

export class ApiDescription {
  readonly operations: readonly Operation[];
  /** Of what is sent: a property that is not declared is what the schema makes of it. */
  readonly requests: Checker;
  /** Of what is answered: nothing may be there that is not declared. */
  readonly answers: Checker;

  constructor(document: {
    readonly paths: Readonly<Record<string, Readonly<Record<string, JsonSchema>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
  }) {
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method: method.toUpperCase(),
        operation: operation as unknown as Described,
      })),
    );
    this.requests = new Checker(document.components.schemas, false);
    this.answers = new Checker(document.components.schemas, true);
  }

  /** The answer is one that the description has: its status, headers, type, body, and the code of an error. */
  check({ operation }: Operation, got: Got, at: string): void {
    const described = operation.responses[String(got.status)];
    assert.ok(described !== undefined, `${at}: ${got.status} is not described: ${got.text.slice(0, 300)}`);
    for (const name of Object.keys(described.headers)) {
      assert.notEqual(got.headers[name.toLowerCase()], undefined, `${at}: ${got.status} without ${name}`);
    }
    const type = String(got.headers['content-type']).replace(/;.*/, '');
    const content = described.content[type];
    assert.ok(content !== undefined, `${at}: ${got.status} with ${type}`);
    if (type !== 'application/json') return;
    const body = JSON.parse(got.text) as { readonly error?: { readonly code: string } };
    assert.equal(this.answers.wrong(content.schema, body), null, `${at}: ${got.text.slice(0, 300)}`);
    if (content.examples === undefined) return;
    const codes = Object.keys(content.examples);
    assert.ok(
      codes.includes(body.error?.code ?? ''),
      `${at}: ${String(body.error?.code)} of ${codes.join()}`,
    );
  }
}
