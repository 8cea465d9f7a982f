/**
 * Strict checks of what comes in over a link, written by hand because they stand in the hot path of the master (tens of
 * thousands of messages a second). Each returns the value itself, typed, or throws a {@link LinkMessageError}.
 * Unknown extra fields are let through: they can't harm, and a newer peer may send them.
 */
import { FINAL_STATUSES } from '../api/tasks.ts';
import { LIMITS } from '../api/limits.ts';
import { collectPatternProblem, filePathProblem } from '../api/task-files.ts';
import type { AttemptRef, MasterToWorker, ResourceSample, RunSpec, WorkerToMaster } from './protocol.ts';

/** A message that does not follow protocol.ts. The link is closed: the peer is not to be trusted any further. */
export class LinkMessageError extends Error {
  readonly code = 'LINK_MESSAGE';
}

/** Text that people read: reasons, messages, addresses, ids of nodes. */
const SHORT_TEXT_CHARS_MAX = 16 * 1024;
/** Ids of tasks are made by the master and are far shorter. */
const TASK_ID_CHARS_MAX = 64;
/** Each of a task's own texts is at most as long as the task. */
const LONG_TEXT_CHARS_MAX = LIMITS.taskBytesMax;
/** One answer to readOutput, as base64. */
const OUTPUT_CHARS_MAX = 2 * 1024 * 1024;
/** Attempts a node may hold (running, and ended but not yet recorded). */
const HELD_MAX = 1_000_000;

/** More servers than any sensible cluster has. */
const SERVERS_MAX = 100;
const ADDRESS = /^[^\s/]{1,300}:[0-9]{1,5}$/;

type Fields = Record<string, unknown>;

function fail(what: string): never {
  throw new LinkMessageError(what);
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(`${what} must be an object`);
  return value as Fields;
}

function text(fields: Fields, name: string, charsMax = SHORT_TEXT_CHARS_MAX): void {
  const value = fields[name];
  if (typeof value !== 'string' || value.length > charsMax) {
    fail(`${name} must be a text of at most ${charsMax} characters`);
  }
}

function textOrNull(fields: Fields, name: string, charsMax = SHORT_TEXT_CHARS_MAX): void {
  if (fields[name] !== null) text(fields, name, charsMax);
}

/** A whole number from 0 to 2^53 - 1. */
function whole(fields: Fields, name: string): void {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) fail(`${name} must be a whole number`);
}

function wholeOrNull(fields: Fields, name: string): void {
  if (fields[name] !== null) whole(fields, name);
}

/** Finite and not negative. */
function amount(fields: Fields, name: string): void {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    fail(`${name} must be a number that is not negative`);
  }
}

function flag(fields: Fields, name: string): void {
  if (typeof fields[name] !== 'boolean') fail(`${name} must be true or false`);
}

function oneOf(fields: Fields, name: string, allowed: readonly string[]): void {
  const value = fields[name];
  if (typeof value !== 'string' || !allowed.includes(value))
    fail(`${name} must be one of ${allowed.join(', ')}`);
}

function stringMap(fields: Fields, name: string): void {
  for (const value of Object.values(fieldsOf(fields[name], name))) {
    if (typeof value !== 'string') fail(`${name} must hold texts only`);
  }
}

function list(fields: Fields, name: string, itemsMax: number): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length > itemsMax) fail(`${name} must be a list of at most ${itemsMax}`);
  return value as readonly unknown[];
}

/** Names of tasks become names of folders on the worker, so no character is let through that could leave one. */
const TASK_ID = /^[A-Za-z0-9_-]+$/;

function attemptRef(fields: Fields): void {
  const task = fields['task'];
  if (typeof task !== 'string' || task.length > TASK_ID_CHARS_MAX || !TASK_ID.test(task)) {
    fail(`task must be an id of at most ${TASK_ID_CHARS_MAX} letters, digits, - and _`);
  }
  whole(fields, 'token');
}

/** Attempts whose output a node keeps; twice the launcher's limit. */
const KEPT_MAX = 400;

/** May be missing. */
function taskIds(fields: Fields, name: string): void {
  if (fields[name] === undefined) return;
  for (const id of list(fields, name, KEPT_MAX)) {
    if (typeof id !== 'string' || id.length > TASK_ID_CHARS_MAX || !TASK_ID.test(id)) {
      fail(`${name} must hold ids of tasks`);
    }
  }
}

function sampleOrNull(fields: Fields, name: string): void {
  if (fields[name] === null) return;
  const sample = fieldsOf(fields[name], name);
  amount(sample, 'cpu' satisfies keyof ResourceSample);
  amount(sample, 'memory' satisfies keyof ResourceSample);
}

function hello(fields: Fields): void {
  whole(fields, 'version');
  text(fields, 'node');
  oneOf(fields, 'role', ['server', 'worker']);
  text(fields, 'instance');
  text(fields, 'address');
  whole(fields, 'slots');
  amount(fields, 'cpus');
  amount(fields, 'memoryMb');
  stringMap(fields, 'labels');
  for (const item of list(fields, 'held', HELD_MAX)) {
    const held = fieldsOf(item, 'held');
    attemptRef(held);
    oneOf(held, 'state', ['running', 'ended']);
  }
  sampleOrNull(fields, 'sample');
  flag(fields, 'leaving');
}

function result(fields: Fields): void {
  const value = fieldsOf(fields['result'], 'result');
  wholeOrNull(value, 'exitCode');
  textOrNull(value, 'signal');
  text(value, 'stdout', LONG_TEXT_CHARS_MAX);
  text(value, 'stderr', LONG_TEXT_CHARS_MAX);
  whole(value, 'stdoutBytes');
  whole(value, 'stderrBytes');
  flag(value, 'truncated');
  if (value['collected'] !== undefined) collected(fieldsOf(value['collected'], 'collected'));
}

function collected(value: Fields): void {
  for (const item of list(value, 'files', LIMITS.collectFilesMax)) {
    const file = fieldsOf(item, 'files');
    text(file, 'path');
    whole(file, 'bytes');
    oneOf(file, 'kept', ['cluster', 'node']);
  }
  textOrNull(value, 'leftOut');
}

/** As base64, and some. */
const CONTENTS_CHARS_MAX = 2 * LIMITS.resultFilesBytesMax;

function contents(fields: Fields): void {
  if (fields['contents'] === undefined) return;
  let chars = 0;
  const files = Object.values(fieldsOf(fields['contents'], 'contents'));
  for (const content of files) {
    if (typeof content !== 'string') fail('contents must hold texts only');
    chars += content.length;
  }
  if (chars > CONTENTS_CHARS_MAX) fail(`contents must be at most ${CONTENTS_CHARS_MAX} characters`);
  if (files.length > LIMITS.collectFilesMax) fail(`contents must be at most ${LIMITS.collectFilesMax} files`);
}

/** @throws LinkMessageError */
export function parseWorkerMessage(value: unknown): WorkerToMaster {
  const fields = fieldsOf(value, 'a message');
  const kind = fields['kind'] as WorkerToMaster['kind'];
  switch (kind) {
    case 'hello':
      hello(fields);
      break;
    case 'heartbeat':
      whole(fields, 'seq');
      sampleOrNull(fields, 'sample');
      taskIds(fields, 'kept');
      break;
    case 'started':
      attemptRef(fields);
      break;
    case 'finished':
      attemptRef(fields);
      oneOf(fields, 'outcome', FINAL_STATUSES);
      textOrNull(fields, 'reason');
      amount(fields, 'runMs');
      result(fields);
      contents(fields);
      break;
    case 'released':
      attemptRef(fields);
      text(fields, 'reason');
      if (fields['fault'] !== undefined) flag(fields, 'fault');
      break;
    case 'output':
      whole(fields, 'request');
      text(fields, 'data', OUTPUT_CHARS_MAX);
      whole(fields, 'nextOffset');
      flag(fields, 'end');
      break;
    case 'outputError':
      whole(fields, 'request');
      text(fields, 'message');
      break;
    case 'goodbye':
      break;
    default:
      fail(`unknown kind of message ${JSON.stringify(kind satisfies never)}`);
  }
  return value as WorkerToMaster;
}

function serverList(fields: Fields): void {
  if (fields['servers'] === undefined) return;
  for (const server of list(fields, 'servers', SERVERS_MAX)) {
    if (typeof server !== 'string' || !ADDRESS.test(server)) fail('servers must hold HOST:PORT only');
  }
}

function runSpec(fields: Fields): void {
  const spec = fieldsOf(fields['spec'], 'spec');
  textOrNull(spec, 'script', LONG_TEXT_CHARS_MAX);
  if (spec['command'] !== null) {
    const command = list(spec, 'command', LIMITS.commandArgsMax);
    if (command.length === 0) fail('command must name a program');
    for (const arg of command) if (typeof arg !== 'string') fail('command must hold texts only');
  }
  if ((spec['script'] === null) === (spec['command'] === null)) fail('exactly one of script and command');
  textOrNull(spec, 'interpreter');
  textOrNull(spec, 'stdin', LONG_TEXT_CHARS_MAX);
  stringMap(spec, 'env');
  textOrNull(spec, 'cwd');
  wholeOrNull(spec, 'timeoutMs');
  amount(spec, 'memoryMb' satisfies keyof RunSpec);
  oneOf(spec, 'onDisconnect', ['pause', 'stop', 'continue']);
  files(spec);
}

/** Their names lead to files that the launcher writes: checked here too. An older master sends neither. */
function files(spec: Fields): void {
  spec['files'] ??= [];
  spec['collect'] ??= [];
  for (const item of list(spec, 'files', LIMITS.filesMax)) {
    const file = fieldsOf(item, 'files');
    text(file, 'path');
    text(file, 'contentBase64', LONG_TEXT_CHARS_MAX);
    const problem = filePathProblem(file['path'] as string);
    if (problem !== null) fail(`path ${problem}`);
  }
  for (const pattern of list(spec, 'collect', LIMITS.collectPatternsMax)) {
    if (typeof pattern !== 'string') fail('collect must hold texts only');
    const problem = collectPatternProblem(pattern);
    if (problem !== null) fail(`collect ${problem}`);
  }
}

/** @throws LinkMessageError */
export function parseMasterMessage(value: unknown): MasterToWorker {
  const fields = fieldsOf(value, 'a message');
  const kind = fields['kind'] as MasterToWorker['kind'];
  switch (kind) {
    case 'welcome':
      text(fields, 'leader');
      whole(fields, 'term');
      for (const item of list(fields, 'verdicts', HELD_MAX)) {
        const verdict = fieldsOf(item, 'verdicts');
        attemptRef(verdict);
        oneOf(verdict, 'verdict', ['keep', 'kill']);
      }
      serverList(fields);
      break;
    case 'redirect':
      text(fields, 'self');
      textOrNull(fields, 'leader');
      textOrNull(fields, 'leaderAddress');
      break;
    case 'refuse':
      text(fields, 'self');
      text(fields, 'reason');
      break;
    case 'heartbeatAck':
      whole(fields, 'seq');
      taskIds(fields, 'forget');
      serverList(fields);
      break;
    case 'run':
      attemptRef(fields);
      whole(fields, 'number');
      runSpec(fields);
      break;
    case 'kill':
      attemptRef(fields);
      oneOf(fields, 'why', ['canceled', 'superseded']);
      break;
    case 'recorded':
      attemptRef(fields);
      flag(fields, 'accepted');
      break;
    case 'readOutput':
      attemptRef(fields);
      whole(fields, 'request');
      oneOf(fields, 'stream', ['stdout', 'stderr']);
      whole(fields, 'offset');
      whole(fields, 'maxBytes');
      whole(fields, 'waitMs');
      break;
    case 'readFile':
      attemptRef(fields);
      whole(fields, 'request');
      text(fields, 'path');
      whole(fields, 'offset');
      whole(fields, 'maxBytes');
      break;
    case 'considered':
      amount(fields, 'cpu');
      amount(fields, 'memory');
      break;
    default:
      fail(`unknown kind of message ${JSON.stringify(kind satisfies never)}`);
  }
  return value as MasterToWorker;
}

export function attemptKey(ref: AttemptRef): string {
  return `${ref.task}.${ref.token}`;
}
