/** What the examples of the document show: one small cluster at one moment. */
const AT = '2026-01-02T03:04:05.678Z';
export const TASK_ID = '3f9a2c1b7d5e8k6m';
const NOTHING_RESERVED = { cpuReserved: 0, memoryReservedMb: 0, speed: 1 } as const;

export const TASK_EXAMPLE = {
  id: TASK_ID,
  name: 'answer',
  status: 'succeeded',
  priority: 50,
  pendingReason: null,
  submittedAt: AT,
  startedAt: AT,
  finishedAt: AT,
  attempts: [
    {
      number: 1,
      node: 'worker1',
      assignedAt: AT,
      startedAt: AT,
      finishedAt: AT,
      outcome: 'succeeded',
      exitCode: 0,
      signal: null,
      reason: null,
      placement: {
        reason: 'worker1 has the most room',
        candidates: [
          {
            ...NOTHING_RESERVED,
            node: 'worker1',
            cpu: 3.1,
            memory: 41.5,
            running: 0,
            slots: 2,
            score: 0.22,
            why: null,
          },
          {
            ...NOTHING_RESERVED,
            node: 'server2',
            cpu: 9,
            memory: 40,
            running: 0,
            slots: 2,
            score: null,
            why: 'draining',
          },
        ],
      },
    },
  ],
  result: {
    exitCode: 0,
    signal: null,
    stdout: '42\n',
    stderr: '',
    stdoutBytes: 3,
    stderrBytes: 0,
    truncated: false,
  },
  index: 17,
  script: 'print(6*7)',
  command: null,
  interpreter: 'python3',
  stdin: null,
  env: {},
  cwd: null,
  timeoutMs: 60_000,
  maxAttempts: 1,
  backoffMs: 1_000,
  cpu: 0,
  memoryMb: 0,
  labels: { team: 'blue' },
  constraints: {},
  delayMs: 0,
  onDisconnect: 'pause',
  after: [],
  noRetryExitCodes: [],
  files: [],
  collect: [],
  retryOf: null,
} as const;

export const NODE_EXAMPLE = {
  id: 'worker1',
  role: 'worker',
  address: '127.0.0.1:3006',
  status: 'ready',
  eligible: true,
  cpu: 3.1,
  memory: 41.5,
  slots: 2,
  running: 1,
  labels: {},
  lastSeenAt: AT,
  leader: false,
} as const;

export const RAFT_EXAMPLE = {
  id: 'server1',
  role: 'leader',
  term: 2,
  votedFor: 'server1',
  leader: 'server1',
  leaderSince: AT,
  firstIndex: 1,
  lastIndex: 99,
  commitIndex: 99,
  appliedIndex: 99,
  snapshotIndex: 0,
  voters: ['server1', 'server2', 'server3'],
  learners: [],
  peers: { server2: { matchIndex: 99, lag: 0, lastContactMs: 12 } },
} as const;

export const PEERS_EXAMPLE = {
  clusterId: '5f0c1d2e3a4b5c6d',
  peers: [
    { id: 'server2', address: 'b.lan:3002', role: 'voter' },
    { id: 'server3', address: 'c.lan:3002', role: 'voter' },
    { id: 'server4', address: 'd.lan:3002', role: 'voter' },
  ],
  removed: ['server1'],
} as const;

export const TASK_EVENT_EXAMPLE = {
  index: 17,
  term: 2,
  time: AT,
  node: null,
  what: 'submitted',
  why: null,
  attempt: null,
} as const;

export const LOG_ENTRY_EXAMPLE = { index: 100, term: 2, kind: 'noop', time: null, data: null } as const;

export const STATE_EXAMPLE = {
  at: 42,
  term: 2,
  time: AT,
  leader: 'server1',
  firstIndex: 1,
  lastIndex: 99,
  counts: {
    ...{ scheduled: 0, queued: 0, assigned: 0, running: 1 },
    ...{ succeeded: 3, failed: 0, timed_out: 0, canceled: 0 },
  },
  nodes: [{ id: 'worker1', role: 'worker', status: 'ready', slots: 2, running: 1 }],
  tasks: [],
  nextCursor: null,
} as const;
