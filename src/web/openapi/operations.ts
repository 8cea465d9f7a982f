/** Every route under /v1 of a server, described. A test compares this list with the routes there are. */
import { LIMITS } from '../../api/limits.ts';
import { LOG_ENTRY_EXAMPLE, NODE_EXAMPLE, PEERS_EXAMPLE, RAFT_EXAMPLE, STATE_EXAMPLE } from './examples.ts';
import { TASK_EVENT_EXAMPLE, TASK_EXAMPLE } from './examples.ts';
import { CHANGE_ERRORS, NAMING_ERRORS, READ_ERRORS } from './operation.ts';
import type { Answer, Operation } from './operation.ts';
import {
  EVENT_PARAMETERS,
  FILE_PATH,
  IDEMPOTENCY_KEY,
  LIST_PARAMETERS,
  LOG_PARAMETERS,
  OUTPUT_PARAMETERS,
  pathId,
  RAFT_PARAMETERS,
  STATE_PARAMETERS,
  STALE,
  WAIT,
} from './parameters.ts';
import type { SchemaName } from './schemas.ts';

type Described = Pick<Operation, 'id' | 'summary' | 'text' | 'answers'> &
  Partial<Pick<Operation, 'parameters' | 'body' | 'errors'>>;

function operation(
  method: Operation['method'],
  path: string,
  tag: Operation['tag'],
  told: Described,
): Operation {
  return { method, path, tag, parameters: [], body: null, errors: [], ...told };
}

function ok(schema: SchemaName, text: string, example: unknown): Answer {
  return { status: 200, text, content: { kind: 'json', schema, example } };
}

const NOTHING = { schema: 'NoContent', required: false, example: {} } as const;
const CREATED: Answer = {
  status: 201,
  text: 'A new task, on the disks of a majority.',
  content: { kind: 'json', schema: 'Task', example: { ...TASK_EXAMPLE, status: 'queued', result: null } },
  headers: ['Location'],
};
const QUEUE_EXAMPLE = { paused: true, lengths: { scheduled: 0, queued: 3, assigned: 0, running: 2 } };

const TASKS: readonly Operation[] = [
  operation('post', '/v1/tasks', 'Tasks', {
    id: 'submitTask',
    summary: 'Submit one task',
    text: `Answered once it is on the disks of a majority. Up to ${LIMITS.taskBytesMax} bytes of JSON.`,
    parameters: [IDEMPOTENCY_KEY],
    body: {
      schema: 'TaskRequest',
      required: true,
      example: { script: 'print(6*7)', name: 'answer', timeoutMs: 60_000 },
    },
    answers: [
      CREATED,
      ok('Task', 'The task that was submitted under this Idempotency-Key before.', TASK_EXAMPLE),
    ],
    errors: [...CHANGE_ERRORS, 'CONFLICT'],
  }),
  operation('post', '/v1/tasks/batch', 'Tasks', {
    id: 'submitBatch',
    summary: 'Submit up to 10,000 tasks',
    text:
      'Results are in the order of the request. `atomic` (the default): any refused task refuses all, named as ' +
      '`tasks[i].field`; `false`: each by itself.',
    body: {
      schema: 'BatchRequest',
      required: true,
      example: { tasks: [{ command: ['true'] }, { command: ['date'], idempotencyKey: 'd1' }], atomic: true },
    },
    answers: [ok('BatchResult', 'What became of each.', { results: [{ status: 201, task: TASK_EXAMPLE }] })],
    errors: [...CHANGE_ERRORS, 'CONFLICT'],
  }),
  operation('get', '/v1/tasks', 'Tasks', {
    id: 'listTasks',
    summary: 'List tasks, newest first',
    text: 'Sees every write acknowledged before it began.',
    parameters: LIST_PARAMETERS,
    answers: [
      ok('TaskPage', 'A page of them.', {
        tasks: [TASK_EXAMPLE],
        nextCursor: null,
        counts: {
          ...{ scheduled: 0, queued: 3, assigned: 0, running: 2 },
          ...{ succeeded: 41, failed: 0, timed_out: 0, canceled: 0 },
        },
      }),
    ],
    errors: READ_ERRORS,
  }),
  operation('get', '/v1/tasks/:id', 'Tasks', {
    id: 'getTask',
    summary: 'One task, or wait for its end',
    text: 'With `wait` the answer comes as soon as the task is final, or after that time with what it is then.',
    parameters: [WAIT, STALE],
    answers: [ok('Task', 'The task.', TASK_EXAMPLE)],
    errors: [...READ_ERRORS, ...NAMING_ERRORS],
  }),
  operation('get', '/v1/tasks/:id/events', 'Tasks', {
    id: 'taskEvents',
    summary: 'The timeline of a task',
    text: 'Every log entry that touched it.',
    parameters: [STALE],
    answers: [ok('TaskEvents', 'Oldest first.', { events: [TASK_EVENT_EXAMPLE] })],
    errors: [...READ_ERRORS, ...NAMING_ERRORS],
  }),
  operation('get', '/v1/tasks/:id/logs', 'Tasks', {
    id: 'taskOutput',
    summary: 'Output of the last attempt',
    text: 'Byte for byte, live while it runs.',
    parameters: OUTPUT_PARAMETERS,
    answers: [
      {
        status: 200,
        text: 'The bytes as they were written, whatever they are.',
        content: { kind: 'other', type: 'text/plain', example: '42\n' },
        headers: ['X-Clb-Attempt'],
      },
    ],
    errors: [...READ_ERRORS, ...NAMING_ERRORS],
  }),
  operation('get', '/v1/tasks/:id/files', 'Tasks', {
    id: 'listTaskFiles',
    summary: 'Files kept of a finished task',
    text: 'What `collect` brought. Empty while there is no result.',
    parameters: [STALE],
    answers: [
      ok('TaskFiles', 'By path.', {
        ...{ task: TASK_EXAMPLE.id, attempt: 1, node: 'worker1', leftOut: null },
        files: [{ path: 'out/plot.png', bytes: 5_120, kept: 'cluster' }],
      }),
    ],
    errors: [...READ_ERRORS, ...NAMING_ERRORS],
  }),
  operation('get', '/v1/tasks/:id/files/*path', 'Tasks', {
    id: 'getTaskFile',
    summary: 'One file kept of a finished task',
    text:
      `Byte for byte. Up to ${LIMITS.resultFilesBytesMax} bytes of a task's files are replicated with its result; larger ` +
      'ones are on the node that ran it: 503 `UNAVAILABLE` while it is away, 404 once it has removed them.',
    parameters: [FILE_PATH],
    answers: [
      {
        status: 200,
        text: 'The bytes, as an attachment.',
        content: { kind: 'other', type: 'application/octet-stream' },
      },
    ],
    errors: [...READ_ERRORS, ...NAMING_ERRORS, 'UNAVAILABLE'],
  }),
  operation('post', '/v1/tasks/:id/cancel', 'Tasks', {
    id: 'cancelTask',
    summary: 'End a task, or keep it from starting',
    text: 'Its status is final once no process of it is left.',
    body: NOTHING,
    answers: [ok('Task', 'The task.', { ...TASK_EXAMPLE, status: 'canceled', result: null })],
    errors: [...CHANGE_ERRORS, ...NAMING_ERRORS],
  }),
  operation('post', '/v1/tasks/:id/retry', 'Tasks', {
    id: 'retryTask',
    summary: 'Run a final task again, as a new one',
    text: 'Of the same content, with `retryOf`.',
    body: NOTHING,
    answers: [CREATED],
    errors: [...CHANGE_ERRORS, ...NAMING_ERRORS],
  }),
];

const CLUSTER: readonly Operation[] = [
  operation('get', '/v1/nodes', 'Nodes', {
    id: 'listNodes',
    summary: 'The nodes that run tasks, and their load',
    text: 'What is live (cpu, running, last seen) only the master knows.',
    parameters: [STALE],
    answers: [ok('Nodes', 'All of them.', { nodes: [NODE_EXAMPLE] })],
    errors: READ_ERRORS,
  }),
  operation('post', '/v1/nodes/:id/drain', 'Nodes', {
    id: 'drainNode',
    summary: 'Give a node no further tasks, or again',
    text: 'After `deadlineMs` what still runs there is given to other nodes.',
    body: { schema: 'DrainRequest', required: true, example: { drain: true, deadlineMs: 60_000 } },
    answers: [ok('Node', 'The node.', { ...NODE_EXAMPLE, status: 'draining', eligible: false })],
    errors: [...CHANGE_ERRORS, 'NOT_FOUND', 'CONFLICT'],
  }),
  operation('post', '/v1/nodes/:id/stop', 'Nodes', {
    id: 'stopNode',
    summary: 'Simulate the crash of a node, or bring it back',
    text: 'What its `/stop` does, through any running node; where fault injection is on (else 403).',
    body: { schema: 'StopRequest', required: true, example: { stopped: true } },
    answers: [ok('Stopped', 'What it is now.', { stopped: true })],
    errors: [...CHANGE_ERRORS, 'NOT_FOUND'],
  }),
  operation('post', '/v1/nodes/:id/faults', 'Nodes', {
    id: 'injectFault',
    summary: 'Put a fault into a node, for a time',
    text:
      '`freeze`: its process does nothing; `cut-off`: its connections to other nodes are closed, plain HTTP goes on; ' +
      '`stop-at-assignment`: being the master it stops when a task has found its node, before anybody is told. Each ends by ' +
      'itself; `forMs` 0 ends it. Where fault injection is on (else 403).',
    body: { schema: 'FaultRequest', required: true, example: { fault: 'cut-off', forMs: 5_000 } },
    answers: [
      ok('Faults', 'What is on now.', {
        node: 'worker1',
        faults: [{ fault: 'cut-off', until: '2026-01-02T03:04:05.678Z' }],
      }),
    ],
    errors: [...CHANGE_ERRORS, 'NOT_FOUND', 'CONFLICT'],
  }),
  operation('get', '/v1/queue', 'Queue', {
    id: 'getQueue',
    summary: 'Whether the queue is paused, and its lengths',
    text: 'Tasks that are not final, by status.',
    parameters: [STALE],
    answers: [ok('Queue', 'The queue.', QUEUE_EXAMPLE)],
    errors: READ_ERRORS,
  }),
  operation('post', '/v1/queue', 'Queue', {
    id: 'pauseQueue',
    summary: 'Pause the whole queue, or let it go on',
    text: 'While it is paused tasks are accepted and not placed; what runs goes on.',
    body: { schema: 'QueueRequest', required: true, example: { paused: true } },
    answers: [ok('Queue', 'The queue.', QUEUE_EXAMPLE)],
    errors: CHANGE_ERRORS,
  }),
];

const SCHEDULE_EXAMPLE = {
  ...{ id: '5v1r0c8m2k9x7d3h', cron: '0 3 * * *', tz: 'Europe/Berlin', task: { command: ['./backup.sh'] } },
  ...{
    createdAt: '2026-01-01T12:00:00.000Z',
    nextAt: '2026-01-02T02:00:00.000Z',
    lastAt: null,
    lastTask: null,
  },
  ...{ runs: 0, missed: 0, index: 42 },
};

const SCHEDULES: readonly Operation[] = [
  operation('get', '/v1/schedules', 'Schedules', {
    id: 'getSchedules',
    summary: 'All schedules',
    text: 'In the order in which they were added.',
    parameters: [STALE],
    answers: [ok('Schedules', 'The schedules.', { schedules: [SCHEDULE_EXAMPLE] })],
    errors: READ_ERRORS,
  }),
  operation('post', '/v1/schedules', 'Schedules', {
    id: 'addSchedule',
    summary: 'Make a task again and again',
    text:
      'Each time makes one task, whoever is master then; of times that passed while there was none, one is made up for. ' +
      'Its tasks carry the label `schedule`.',
    body: {
      schema: 'ScheduleRequest',
      required: true,
      example: { cron: '0 3 * * *', tz: 'Europe/Berlin', task: { command: ['./backup.sh'] } },
    },
    answers: [
      {
        status: 201,
        text: 'The schedule, on the disks of a majority.',
        content: { kind: 'json', schema: 'Schedule', example: SCHEDULE_EXAMPLE },
      },
    ],
    errors: [...CHANGE_ERRORS, 'CONFLICT'],
  }),
  operation('delete', '/v1/schedules/:id', 'Schedules', {
    id: 'removeSchedule',
    summary: 'Remove a schedule',
    text: 'Tasks it has made go on.',
    answers: [ok('RemovedSchedule', 'The id of the one that is gone.', { id: SCHEDULE_EXAMPLE.id })],
    errors: [...CHANGE_ERRORS, ...NAMING_ERRORS],
  }),
];

const CONSENSUS: readonly Operation[] = [
  operation('get', '/v1/raft', 'Raft', {
    id: 'getRaft',
    summary: 'Consensus as the node asked sees it',
    text: 'Role, term, positions in the log, members.',
    parameters: RAFT_PARAMETERS,
    answers: [ok('Raft', 'Its state.', RAFT_EXAMPLE)],
  }),
  operation('get', '/v1/raft/log', 'Raft', {
    id: 'getRaftLog',
    summary: 'Decoded log entries of the node asked',
    text: 'Both ends inclusive, cut to what is kept.',
    parameters: LOG_PARAMETERS,
    answers: [ok('RaftLog', 'The entries.', { entries: [LOG_ENTRY_EXAMPLE] })],
  }),
  operation('get', '/v1/audit', 'Raft', {
    id: 'getAudit',
    summary: 'Log and tasks of the node asked, to be checked',
    text:
      'The log as it lies on the disk and the tasks that are kept, all as of one moment, a line of JSON each: `head`, `log`, ' +
      '`task`, `end` (or `damage`). Contents are left out, digests stand for them. `clb verify` reads it.',
    parameters: RAFT_PARAMETERS,
    answers: [
      {
        status: 200,
        text: 'The lines.',
        content: {
          kind: 'other',
          type: 'application/x-ndjson',
          example: '{"kind":"end","entries":0,"tasks":0,"retiredCount":0}\n',
        },
      },
    ],
    errors: ['QUEUE_FULL'],
  }),
  operation('get', '/v1/state', 'Raft', {
    id: 'stateAt',
    summary: 'Tasks and nodes as they were at a log index',
    text:
      'As the node asked has them. `firstIndex` and `lastIndex` tell what can be asked for: entries since it started or took ' +
      'a snapshot from another, at most as many as /v1/events can resume over. Tasks removed by retention since are missing.',
    parameters: STATE_PARAMETERS,
    answers: [ok('State', 'The state then.', STATE_EXAMPLE)],
    errors: ['NOT_FOUND'],
  }),
  operation('post', '/v1/raft/transfer', 'Raft', {
    id: 'transferLeadership',
    summary: 'Make another voter the master',
    text:
      'Answered when it leads, at once if it does already. 409 with `details.reason` `not_a_voter`, `not_reachable` or ' +
      '`timed_out`.',
    body: { schema: 'TransferRequest', required: true, example: { to: 'server2' } },
    answers: [ok('Lead', 'Who leads now.', { leader: 'server2', term: 5 })],
    errors: [...CHANGE_ERRORS, ...NAMING_ERRORS],
  }),
  operation('get', '/v1/raft/peers', 'Raft', {
    id: 'getPeers',
    summary: 'Who takes part in consensus, as the node asked knows it',
    text: 'Voters and learners with their addresses, the ids that are used up, and the id of the cluster.',
    parameters: RAFT_PARAMETERS,
    answers: [ok('Peers', 'The members.', PEERS_EXAMPLE)],
  }),
  operation('post', '/v1/raft/peers/:id', 'Raft', {
    id: 'addPeer',
    summary: 'Add a server, or give a learner its vote',
    text:
      'The server must run already (`clb server --join`). It gets the log first and its vote when it has caught up; answered ' +
      'then, at once if it is a voter already. 409 with `details.reason` `used_id`, `used_address`, `not_now`, ' +
      '`not_reachable`, `not_caught_up` or `would_lose_quorum`.',
    body: { schema: 'AddPeerRequest', required: true, example: { address: 'd.lan:3002' } },
    answers: [ok('Peers', 'Who takes part now.', PEERS_EXAMPLE)],
    errors: [...CHANGE_ERRORS, ...NAMING_ERRORS],
  }),
  operation('delete', '/v1/raft/peers/:id', 'Raft', {
    id: 'removePeer',
    summary: 'Remove a server, the master too',
    text:
      'Answered when it is committed; the server ends in order, and its id is never used again. 409 with `details.reason` ' +
      '`last_voter`, `would_lose_quorum` or `not_now`.',
    answers: [ok('Peers', 'Who takes part now.', PEERS_EXAMPLE)],
    errors: [...CHANGE_ERRORS, ...NAMING_ERRORS],
  }),
  operation('post', '/v1/raft/snapshot', 'Raft', {
    id: 'takeSnapshot',
    summary: 'Take a snapshot of the node asked now',
    text: 'The log before it is dropped, except for what slow followers may still need.',
    body: NOTHING,
    answers: [ok('Snapshot', 'Where it stands.', { id: 'server1', index: 99, term: 2, firstIndex: 1 })],
    errors: ['CONFLICT'],
  }),
  operation('get', '/v1/events', 'Events', {
    id: 'streamEvents',
    summary: 'What is committed, entry by entry, without end',
    text:
      'Server-Sent Events: one message per log entry, its index as id, data `{index, term, time, events: […]}`. `event: ' +
      'reset` says that entries between are not kept any more.',
    parameters: EVENT_PARAMETERS,
    answers: [
      {
        status: 200,
        text: 'The stream.',
        content: {
          kind: 'other',
          type: 'text/event-stream',
          example: 'id: 42\ndata: {"index":42,"term":2,"time":"2026-01-02T03:04:05.678Z","events":[]}\n\n',
        },
      },
    ],
  }),
];

const OWN: readonly Operation[] = [
  operation('get', '/v1/openapi.json', 'This document', {
    id: 'openApi',
    summary: 'The API as OpenAPI 3.1',
    text: 'Made from the schemas that check the requests.',
    answers: [ok('OpenApi', 'This document.', { openapi: '3.1.0', info: {}, paths: {}, components: {} })],
  }),
  operation('get', '/v1/docs', 'This document', {
    id: 'docs',
    summary: 'The same as a page',
    text: 'Loads nothing from anywhere.',
    answers: [{ status: 200, text: 'The page.', content: { kind: 'other', type: 'text/html' } }],
  }),
];

export const OPERATIONS: readonly Operation[] = [...TASKS, ...CLUSTER, ...SCHEDULES, ...CONSENSUS, ...OWN];

/** With the `:id` of its path. */
export function parametersOf(operation: Operation): Operation['parameters'] {
  const { path, tag, parameters } = operation;
  if (!path.includes('/:id')) return parameters;
  return [pathId(tag === 'Nodes' || tag === 'Schedules' || tag === 'Raft' ? tag : 'Tasks'), ...parameters];
}
