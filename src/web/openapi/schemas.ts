/** The named schemas of the document: those that check requests, and those that describe answers. */
import { z } from 'zod';
import { drainRequestSchema, queueRequestSchema, transferRequestSchema } from '../../api/requests.ts';
import {
  batchResultSchema,
  errorSchema,
  leadSchema,
  nodeSchema,
  nodesSchema,
  queueSchema,
  raftLogSchema,
  raftSchema,
  scheduleSchema,
  faultsSchema,
  stateSchema,
  stoppedSchema,
  taskEventsSchema,
  taskFilesViewSchema,
  taskPageSchema,
  taskSchema,
  taskSummarySchema,
} from '../../api/schemas.ts';
import { faultRequestSchema } from '../../api/faults.ts';
import { batchRequestSchema, idempotencyKeySchema, taskRequestSchema } from '../../api/tasks.ts';
import { addPeerRequestSchema, peersSchema, snapshotSchema } from '../../api/peers.ts';
import { scheduleRequestSchema } from '../../api/schedules.ts';
import { stopRequestSchema } from '../stop.ts';
import type { JsonSchema } from './json-schema.ts';

const NAMED = {
  TaskRequest: taskRequestSchema,
  BatchRequest: batchRequestSchema,
  DrainRequest: drainRequestSchema,
  StopRequest: stopRequestSchema,
  FaultRequest: faultRequestSchema,
  QueueRequest: queueRequestSchema,
  TransferRequest: transferRequestSchema,
  AddPeerRequest: addPeerRequestSchema,
  ScheduleRequest: scheduleRequestSchema,
  NoContent: z.strictObject({}),
  Task: taskSchema,
  TaskSummary: taskSummarySchema,
  TaskPage: taskPageSchema,
  TaskEvents: taskEventsSchema,
  TaskFiles: taskFilesViewSchema,
  BatchResult: batchResultSchema,
  Node: nodeSchema,
  Nodes: nodesSchema,
  Queue: queueSchema,
  Schedule: scheduleSchema,
  Schedules: z.object({ schedules: z.array(scheduleSchema) }),
  RemovedSchedule: z.object({ id: z.string() }),
  Raft: raftSchema,
  RaftLog: raftLogSchema,
  Lead: leadSchema,
  Peers: peersSchema,
  Snapshot: snapshotSchema,
  Stopped: stoppedSchema,
  Faults: faultsSchema,
  State: stateSchema,
  OpenApi: z.looseObject({
    openapi: z.string(),
    info: z.unknown(),
    paths: z.unknown(),
    components: z.unknown(),
  }),
  Error: errorSchema,
} as const;

export type SchemaName = keyof typeof NAMED;

export function schemaRef(name: string): JsonSchema {
  return { $ref: schemaUri(name) };
}

function schemaUri(name: string): string {
  return `#/components/schemas/${name}`;
}

/** All of them as JSON Schema, by name. */
export function namedSchemas(): Readonly<Record<string, JsonSchema>> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED)) registry.add(schema, { id });
  // As input: answers may get further fields in time, requests are strict by themselves.
  const { schemas } = z.toJSONSchema(registry, { io: 'input', unrepresentable: 'any', uri: schemaUri });
  const named: Record<string, JsonSchema> = {};
  for (const [name, schema] of Object.entries(schemas)) named[name] = withoutKeys(schema, ['$schema', '$id']);
  return { ...named, ...batchSchemas(named) };
}

/** A batch's tasks are checked one by one, each with its key beside its fields: zod knows them as anything. */
function batchSchemas(named: Readonly<Record<string, JsonSchema>>): Readonly<Record<string, JsonSchema>> {
  const task = named['TaskRequest'] as { readonly properties: JsonSchema };
  const batch = named['BatchRequest'] as { readonly properties: { readonly tasks: JsonSchema } };
  const idempotencyKey = withoutKeys(z.toJSONSchema(idempotencyKeySchema), ['$schema']);
  return {
    BatchTask: { ...task, properties: { ...task.properties, idempotencyKey } },
    BatchRequest: {
      ...batch,
      properties: {
        ...batch.properties,
        tasks: { ...batch.properties.tasks, items: schemaRef('BatchTask') },
      },
    },
  };
}

function withoutKeys(schema: object, keys: readonly string[]): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)));
}
