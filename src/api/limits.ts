/** Every limit that someone outside can meet, named with its unit. Errors quote them. */
export const LIMITS = {
  /** One task as submitted, as JSON (contract §4). */
  taskBytesMax: 1024 * 1024,
  /** Body of a batch. */
  batchBodyBytesMax: 8 * 1024 * 1024,
  batchTasksMax: 10_000,
  /** Any other body. */
  bodyBytesMax: 64 * 1024,
  nameCharsMax: 200,
  commandArgsMax: 1_000,
  envVarsMax: 1_000,
  labelsMax: 64,
  labelCharsMax: 200,
  pathCharsMax: 4_096,
  idempotencyKeyCharsMax: 256,
  afterMax: 1_000,
  maxAttemptsMax: 100,
  timeoutMsMax: 30 * 24 * 3600 * 1000,
  backoffMsMax: 24 * 3600 * 1000,
  delayMsMax: 365 * 24 * 3600 * 1000,
  cpuMax: 1_024,
  memoryMbMax: 16 * 1024 * 1024,
  /** Head plus tail of each stream kept in the result. */
  resultStreamBytesMax: 64 * 1024,
  /** Full output of each stream kept on the node that ran the task. */
  nodeStreamBytesMax: 16 * 1024 * 1024,
  /** Files sent along with a task; their content counts toward the task's size. */
  filesMax: 1_000,
  filePathCharsMax: 1_024,
  collectPatternsMax: 100,
  collectPatternCharsMax: 1_024,
  /** Files kept of one attempt, and the characters of their paths; what is beyond is left out and said so. */
  collectFilesMax: 1_000,
  collectPathCharsMax: 64 * 1024,
  /** Bytes of all files kept of one attempt, on its node and in the cluster together. */
  collectBytesMax: 64 * 1024 * 1024,
  /** Of these, what is replicated with the result: the smallest ones, as far as they fit. */
  resultFilesBytesMax: 256 * 1024,
  listLimitDefault: 100,
  listLimitMax: 1_000,
  waitMsMax: 60_000,
  /** Shortest prefix of an id that stands for it. */
  idPrefixCharsMin: 6,
  /** Tasks not yet final; beyond it submits get 429 QUEUE_FULL. */
  queuedTasksMax: 1_000_000,
  /** Finished tasks are kept so long, and so many of them, unless the servers are told otherwise. */
  retentionMsDefault: 7 * 24 * 3600 * 1000,
  retentionTasksMax: 1_000_000,
  sseClientsMax: 1_000,
  /** Entries whose events a server keeps for `Last-Event-ID`. */
  eventEntriesMax: 20_000,
  raftLogEntriesPerCallMax: 1_000,
  nodeIdCharsMax: 64,
  /** An injected fault ends by itself after this time at the latest. */
  faultMsMax: 60_000,
} as const;
