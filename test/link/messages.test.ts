import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMasterMessage, parseWorkerMessage } from '../../src/link/messages.ts';
import type { MasterToWorker, RunSpec, WorkerToMaster } from '../../src/link/protocol.ts';

const RESULT = {
  ...{ exitCode: null, signal: 'SIGKILL', stdout: 'a', stderr: '' },
  ...{ stdoutBytes: 1, stderrBytes: 0, truncated: false },
} as const;

const SPEC: RunSpec = {
  ...{ script: 'print(1)', command: null, interpreter: null, stdin: null, env: { A: 'b' }, cwd: null },
  ...{ timeoutMs: 5, memoryMb: 0, onDisconnect: 'pause' },
  ...{ files: [{ path: 'a/b', contentBase64: 'YQ==' }], collect: ['out/*'] },
};

const WORKER_MESSAGES: readonly WorkerToMaster[] = [
  {
    ...{
      kind: 'hello',
      version: 1,
      node: 'worker1',
      role: 'worker',
      instance: 'abc',
      address: 'h:1',
      slots: 2,
    },
    ...{ cpus: 0.5, memoryMb: 100, labels: { a: 'b' }, sample: null, leaving: false },
    held: [{ task: 't-1', token: 4, state: 'running' }],
  },
  { kind: 'heartbeat', seq: 3, sample: { cpu: 0, memory: 12.5 } },
  { kind: 'started', task: 'T_1', token: 9 },
  { kind: 'finished', task: 't', token: 1, outcome: 'failed', reason: null, runMs: 12, result: RESULT },
  {
    ...{ kind: 'finished', task: 't', token: 1, outcome: 'failed', reason: null, runMs: 12 },
    result: {
      ...RESULT,
      collected: { files: [{ path: 'a', bytes: 1, kept: 'cluster' }], leftOut: 'not kept: b' },
    },
    contents: { a: 'YQ==' },
  },
  { kind: 'released', task: 't', token: 1, reason: 'stopped' },
  { kind: 'output', request: 1, data: 'YQ==', nextOffset: 1, end: false },
  { kind: 'outputError', request: 1, message: 'gone' },
  { kind: 'goodbye' },
];

const MASTER_MESSAGES: readonly MasterToWorker[] = [
  { kind: 'welcome', leader: 'server1', term: 3, verdicts: [{ task: 't', token: 1, verdict: 'kill' }] },
  { kind: 'redirect', self: 'server2', leader: null, leaderAddress: null },
  { kind: 'refuse', self: 'server1', reason: 'no' },
  { kind: 'heartbeatAck', seq: 1 },
  { kind: 'run', task: 't', token: 1, number: 1, spec: SPEC },
  { kind: 'kill', task: 't', token: 1, why: 'canceled' },
  { kind: 'recorded', task: 't', token: 1, accepted: true },
  {
    ...{ kind: 'readFile', task: 't', token: 1, request: 1, path: 'a/b', offset: 0, maxBytes: 9 },
  },
  {
    ...{ kind: 'readOutput', task: 't', token: 1, request: 1, stream: 'stderr', offset: 0 },
    ...{ maxBytes: 100, waitMs: 0 },
  },
  { kind: 'considered', cpu: 1, memory: 2 },
];

type Parser = (value: unknown) => unknown;

/** The message with each of its fields removed or replaced, one at a time, at any depth. */
function* broken(value: unknown, path = ''): Generator<readonly [path: string, value: unknown]> {
  if (typeof value !== 'object' || value === null) return;
  const entries = Object.entries(value as Record<string, unknown>);
  const rebuilt = (key: string, to: unknown): unknown =>
    Array.isArray(value)
      ? value.map((item: unknown, at) => (String(at) === key ? to : item))
      : Object.fromEntries(entries.map(([name, item]) => [name, name === key ? to : item]));
  for (const [key, item] of entries) {
    for (const wrong of [undefined, { wrong: 1 }, -1, 'x\u0000'.repeat(9_000)]) {
      if (typeof wrong === 'string' && FREE_TEXT.has(key)) continue;
      if (wrong === undefined && MAY_BE_MISSING.has(key)) continue;
      yield [`${path}${key}`, rebuilt(key, wrong)];
    }
    for (const [inner, changed] of broken(item, `${path}${key}.`)) yield [inner, rebuilt(key, changed)];
  }
}

/** Texts that may be long, and anything. */
const FREE_TEXT = new Set(['script', 'stdin', 'stdout', 'stderr', 'data', 'contentBase64', 'A', 'a']);
/** Peers that know nothing of files send none of these. */
const MAY_BE_MISSING = new Set(['files', 'collect', 'contents', 'collected', 'a']);

describe('checks of what comes in over a link', () => {
  for (const [side, parse, messages] of [
    ['the worker', parseWorkerMessage as Parser, WORKER_MESSAGES],
    ['the master', parseMasterMessage as Parser, MASTER_MESSAGES],
  ] as const) {
    for (const message of messages) {
      it(`take ${message.kind} of ${side} as it is, and refuse it with any field missing or wrong`, () => {
        assert.equal(parse(message), message);
        for (const [path, value] of broken(message)) {
          assert.throws(
            () => parse(value),
            { code: 'LINK_MESSAGE' },
            `${path}: ${JSON.stringify(value).slice(0, 500)}`,
          );
        }
      });
    }
  }

  it('refuse what is no object, and kinds of the other direction', () => {
    for (const value of [null, 1, 'hello', [], undefined]) {
      assert.throws(() => parseWorkerMessage(value), { code: 'LINK_MESSAGE' });
      assert.throws(() => parseMasterMessage(value), { code: 'LINK_MESSAGE' });
    }
    assert.throws(() => parseWorkerMessage(MASTER_MESSAGES[0]), /unknown kind of message "welcome"/);
    assert.throws(() => parseMasterMessage(WORKER_MESSAGES[0]), /unknown kind of message "hello"/);
  });

  it('refuse ids of tasks that could leave a folder', () => {
    for (const task of ['../x', 'a/b', '', '.', 'a b', 'x'.repeat(65)]) {
      assert.throws(() => parseWorkerMessage({ kind: 'started', task, token: 1 }), /task must be an id/);
    }
  });

  it('refuse files whose names could leave the scratch folder', () => {
    const run = (spec: Partial<RunSpec>): unknown => ({
      ...{ kind: 'run', task: 't', token: 1, number: 1 },
      spec: { ...SPEC, ...spec },
    });
    for (const path of ['/etc/x', '../x', 'a/../../x', 'a\0b', '']) {
      assert.throws(
        () => parseMasterMessage(run({ files: [{ path, contentBase64: '' }] })),
        /path must/,
        path,
      );
    }
    assert.throws(() => parseMasterMessage(run({ collect: ['../*'] })), /collect must not contain/);
    const older = { ...SPEC, files: undefined, collect: undefined };
    const parsed = parseMasterMessage({ kind: 'run', task: 't', token: 1, number: 1, spec: older });
    assert.ok(parsed.kind === 'run');
    assert.deepEqual([parsed.spec.files, parsed.spec.collect], [[], []]);
  });

  it('refuse a run with both or neither of script and command', () => {
    const run = (spec: Partial<RunSpec>): unknown => ({
      ...{ kind: 'run', task: 't', token: 1, number: 1 },
      spec: { ...SPEC, ...spec },
    });
    assert.throws(() => parseMasterMessage(run({ script: null })), /exactly one of script and command/);
    assert.throws(() => parseMasterMessage(run({ command: ['true'] })), /exactly one of script and command/);
    assert.doesNotThrow(() => parseMasterMessage(run({ script: null, command: ['true'] })));
  });
});
