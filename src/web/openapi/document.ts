/** GET /v1/openapi.json: OpenAPI 3.1 of every route under /v1. */
import { ERROR_STATUS } from '../../api/errors.ts';
import type { ErrorCode } from '../../api/errors.ts';
import { COMMON_ERRORS } from './operation.ts';
import type { JsonSchema } from './json-schema.ts';
import type { Answer, Operation } from './operation.ts';
import { OPERATIONS, parametersOf } from './operations.ts';
import { namedSchemas, schemaRef } from './schemas.ts';

/** One sentence for each; the examples of the error answers are made of them. */
export const ERROR_TEXTS: Readonly<Record<ErrorCode, string>> = {
  INVALID: 'timeoutMs: 0 is below the minimum of 1',
  UNAUTHORIZED: 'a token is needed',
  FORBIDDEN: 'a foreign Host or Origin, a body that is not application/json, or fault injection is off',
  NOT_FOUND: 'no task "3f9a2c"',
  CONFLICT: 'its state does not allow it, other content under a known key, or an ambiguous id prefix',
  TOO_LARGE: 'the body is larger than the limit of 1048576 bytes (1 MiB)',
  STOPPED: 'I am simulating a crash, please do not bother me',
  QUEUE_FULL: 'the queue holds as many tasks as it may',
  INTERNAL: "internal error; the node's log has the details",
  NO_LEADER: 'no master is known at the moment',
  NO_QUORUM: 'no majority of the servers can be reached',
  UNAVAILABLE: 'this node is starting or ending',
  UNKNOWN_OUTCOME: 'this may or may not have been done; repeat it with the same Idempotency-Key',
};

const HEADERS = {
  'X-Clb-Node': header('Id of the node that was asked.', { type: 'string' }),
  'X-Clb-Leader': header('Id of the master as the answering node knows it; empty while there is none.', {
    type: 'string',
  }),
  'X-Clb-Index': header('Index of the last log entry the answering node had applied.', {
    type: 'integer',
    minimum: 0,
  }),
  'Retry-After': header('Seconds.', { type: 'integer', minimum: 0 }),
  'WWW-Authenticate': header('How to show the token.', { type: 'string' }),
  Location: header('Path of the new task.', { type: 'string' }),
  'X-Clb-Attempt': header('Number of the attempt whose output it is; 0: none yet.', {
    type: 'integer',
    minimum: 0,
  }),
} as const;

type HeaderName = keyof typeof HEADERS;
const EVERY_ANSWER: readonly HeaderName[] = ['X-Clb-Node', 'X-Clb-Leader', 'X-Clb-Index'];

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: JsonSchema;
  readonly servers: readonly JsonSchema[];
  readonly security: readonly JsonSchema[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonSchema>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly headers: JsonSchema;
    readonly securitySchemes: JsonSchema;
  };
}

export function openApiDocument(version: string): OpenApiDocument {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const operation of OPERATIONS) {
    const path = operation.path.replace(/[:*](\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method]: operationObject(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'CLB, Container Load Balancer',
      version,
      description:
        'Runs scripts and commands on a small, replicated cluster. Any server may be asked: what only the master can ' +
        'answer is forwarded. Unknown fields and query parameters are refused by name. What is no HTTP at all, or has ' +
        'headers of more than 16 KiB, is answered without the X-Clb headers.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    // Without a token none is needed.
    security: [{}, { token: [] }, { session: [] }],
    paths,
    components: {
      schemas: namedSchemas(),
      headers: HEADERS,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'CLB_TOKEN, where the cluster has one.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'clb_session_server1',
          description: 'What a browser gets for the token at /login; named after the node.',
        },
      },
    },
  };
}

export function errorCodesOf(operation: Operation): readonly ErrorCode[] {
  return [...new Set([...COMMON_ERRORS, ...operation.errors])];
}

function operationObject(operation: Operation): JsonSchema {
  const { id, tag, summary, text, body } = operation;
  const parameters = parametersOf(operation).map(
    ({ name, in: where, text: description, schema, example }) => ({
      name,
      in: where,
      required: where === 'path',
      description,
      schema,
      ...(example === undefined ? {} : { example }),
    }),
  );
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: text,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null
      ? {}
      : {
          requestBody: {
            required: body.required,
            content: { 'application/json': { schema: schemaRef(body.schema), example: body.example } },
          },
        }),
    responses: {
      ...Object.fromEntries(operation.answers.map((answer) => [answer.status, answerObject(answer)])),
      ...errorAnswers(errorCodesOf(operation)),
    },
  };
}

function answerObject({ text, content, headers = [] }: Answer): JsonSchema {
  const described =
    content.kind === 'json'
      ? { 'application/json': { schema: schemaRef(content.schema), example: content.example } }
      : {
          [content.type]: {
            schema: { type: 'string' },
            ...(content.example === undefined ? {} : { example: content.example }),
          },
        };
  return { description: text, headers: headerRefs([...EVERY_ANSWER, ...headers]), content: described };
}

/** One answer for each status, with an example for each of its codes. */
function errorAnswers(codes: readonly ErrorCode[]): Readonly<Record<string, JsonSchema>> {
  const answers: Record<string, JsonSchema> = {};
  for (const status of new Set(codes.map((code) => ERROR_STATUS[code]))) {
    const ofStatus = codes.filter((code) => ERROR_STATUS[code] === status);
    const retry = status === 429 || status === 503;
    answers[status] = {
      description: ofStatus.map((code) => `\`${code}\``).join(', '),
      headers: headerRefs([
        ...EVERY_ANSWER,
        ...(retry ? (['Retry-After'] as const) : []),
        ...(status === 401 ? (['WWW-Authenticate'] as const) : []),
      ]),
      content: {
        'application/json': {
          schema: schemaRef('Error'),
          examples: Object.fromEntries(
            ofStatus.map((code) => [code, { value: { error: { code, message: ERROR_TEXTS[code] } } }]),
          ),
        },
      },
    };
  }
  return answers;
}

function headerRefs(names: readonly HeaderName[]): JsonSchema {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function header(description: string, schema: JsonSchema): JsonSchema {
  return { description, required: true, schema };
}
