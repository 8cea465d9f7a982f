import { LIMITS } from '../../../../api/limits.ts';
import type { TaskFile } from '../../../../api/task-files.ts';
import type { TaskRequest, TaskView } from '../../../../api/tasks.ts';
import { joinCommand, splitCommand } from './command-line.ts';
import { formatPairs, linesOf, parseCodes, parsePairs, quoted, wordsOf } from './draft-fields.ts';
import type { ParsedField } from './draft-fields.ts';

/** What stands in the form, as typed. Empty text means "not given". */
export interface Draft {
  readonly mode: 'script' | 'command';
  readonly script: string;
  readonly command: string;
  readonly name: string;
  readonly interpreter: string;
  readonly timeoutSeconds: string;
  readonly maxAttempts: string;
  readonly priority: string;
  readonly backoffSeconds: string;
  /** Apart by blanks or commas. */
  readonly noRetryExitCodes: string;
  readonly delaySeconds: string;
  readonly cpu: string;
  readonly memoryMb: string;
  /** `KEY=VALUE`, one a line; so are `constraints` and `env`. */
  readonly labels: string;
  readonly constraints: string;
  readonly env: string;
  readonly cwd: string;
  readonly stdin: string;
  /** Ids, apart by blanks or commas. */
  readonly after: string;
  /** Empty, or one of pause, stop, continue. */
  readonly onDisconnect: string;
  /** Patterns, one a line. */
  readonly collect: string;
  readonly files: readonly TaskFile[];
}

/** Those that are typed. */
export type DraftField = Exclude<keyof Draft, 'mode' | 'files'>;

export const EMPTY_DRAFT: Draft = {
  mode: 'script',
  script: '',
  command: '',
  name: '',
  interpreter: '',
  timeoutSeconds: '',
  maxAttempts: '',
  priority: '',
  backoffSeconds: '',
  noRetryExitCodes: '',
  delaySeconds: '',
  cpu: '',
  memoryMb: '',
  labels: '',
  constraints: '',
  env: '',
  cwd: '',
  stdin: '',
  after: '',
  onDisconnect: '',
  collect: '',
  files: [],
};

export type RequestOutcome =
  | { readonly kind: 'ok'; readonly request: TaskRequest }
  | { readonly kind: 'error'; readonly field: DraftField; readonly message: string };

type NumberField =
  'timeoutSeconds' | 'maxAttempts' | 'priority' | 'backoffSeconds' | 'delaySeconds' | 'cpu' | 'memoryMb';

interface NumberRule {
  readonly field: NumberField;
  readonly what: string;
  readonly min: number;
  readonly max: number;
  /** Else whole numbers only. */
  readonly fractions?: boolean;
}

const NUMBER_RULES: readonly NumberRule[] = [
  { field: 'timeoutSeconds', what: 'The time limit', min: 1, max: LIMITS.timeoutMsMax / 1000 },
  { field: 'maxAttempts', what: 'The number of attempts', min: 1, max: LIMITS.maxAttemptsMax },
  { field: 'priority', what: 'The priority', min: 0, max: 100 },
  { field: 'backoffSeconds', what: 'The pause between attempts', min: 0, max: LIMITS.backoffMsMax / 1000 },
  { field: 'delaySeconds', what: 'The delay', min: 0, max: LIMITS.delayMsMax / 1000 },
  { field: 'cpu', what: 'The number of cores', min: 0, max: LIMITS.cpuMax, fractions: true },
  { field: 'memoryMb', what: 'The memory', min: 0, max: LIMITS.memoryMbMax },
];

class FieldProblem extends Error {
  readonly field: DraftField;
  constructor(field: DraftField, message: string) {
    super(message);
    this.field = field;
  }
}

/** The request the form stands for, or the first field that is in its way. The server checks everything again. */
export function toRequest(draft: Draft): RequestOutcome {
  try {
    const request: TaskRequest = { ...payloadOf(draft), ...optionsOf(draft) };
    const bytes = new TextEncoder().encode(JSON.stringify(request)).byteLength;
    if (bytes > LIMITS.taskBytesMax) {
      const message = `The payload has ${bytes.toLocaleString('en')} bytes; ${LIMITS.taskBytesMax.toLocaleString('en')} are allowed.`;
      return { kind: 'error', field: draft.mode, message };
    }
    return { kind: 'ok', request };
  } catch (thrown) {
    if (!(thrown instanceof FieldProblem)) throw thrown;
    return { kind: 'error', field: thrown.field, message: thrown.message };
  }
}

function payloadOf(draft: Draft): TaskRequest {
  switch (draft.mode) {
    case 'script': {
      if (draft.script.trim() === '') {
        const message = 'There is nothing to send yet. Press Generate Payload, or write a script.';
        throw new FieldProblem('script', message);
      }
      const interpreter = shortText(draft, 'interpreter', 'The interpreter', LIMITS.pathCharsMax);
      return { script: draft.script, ...(interpreter === '' ? {} : { interpreter }) };
    }
    case 'command': {
      const split = splitCommand(draft.command);
      if (split.kind === 'error') throw new FieldProblem('command', split.message);
      return { command: [...split.args] };
    }
  }
}

function optionsOf(draft: Draft): TaskRequest {
  for (const rule of NUMBER_RULES) {
    const message = numberProblem(draft[rule.field], rule);
    if (message !== null) throw new FieldProblem(rule.field, message);
  }
  const name = shortText(draft, 'name', 'The name', LIMITS.nameCharsMax);
  const cwd = shortText(draft, 'cwd', 'The folder', LIMITS.pathCharsMax);
  if (cwd !== '' && !cwd.startsWith('/'))
    throw new FieldProblem('cwd', `The folder must begin with /, not ${quoted(cwd)}.`);
  const number = (field: NumberField, factor = 1): number | undefined =>
    draft[field].trim() === '' ? undefined : Number(draft[field]) * factor;
  return given({
    name: name === '' ? undefined : name,
    timeoutMs: number('timeoutSeconds', 1000),
    maxAttempts: number('maxAttempts'),
    priority: number('priority'),
    backoffMs: number('backoffSeconds', 1000),
    noRetryExitCodes: some(parsed('noRetryExitCodes', parseCodes(draft.noRetryExitCodes))),
    delayMs: number('delaySeconds', 1000),
    cpu: number('cpu'),
    memoryMb: number('memoryMb'),
    labels: someOf(parsed('labels', parsePairs(draft.labels, 'Labels'))),
    constraints: someOf(parsed('constraints', parsePairs(draft.constraints, 'Constraints'))),
    env: someOf(parsed('env', parsePairs(draft.env, 'Environment'))),
    cwd: cwd === '' ? undefined : cwd,
    stdin: draft.stdin === '' ? undefined : draft.stdin,
    after: some(wordsOf(draft.after)),
    onDisconnect: DISCONNECTS.find((what) => what === draft.onDisconnect),
    collect: some(linesOf(draft.collect)),
    files: some(draft.files),
  });
}

export const DISCONNECTS = ['pause', 'stop', 'continue'] as const;

type Some<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(fields: T): Some<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Some<T>;
}

function some<T>(list: readonly T[]): T[] | undefined {
  return list.length === 0 ? undefined : [...list];
}

function someOf(map: Readonly<Record<string, string>>): Record<string, string> | undefined {
  return Object.keys(map).length === 0 ? undefined : { ...map };
}

function parsed<T>(field: DraftField, outcome: ParsedField<T>): T {
  if (outcome.kind === 'error') throw new FieldProblem(field, outcome.message);
  return outcome.value;
}

/** Without the blanks around it. */
function shortText(draft: Draft, field: DraftField, what: string, charsMax: number): string {
  const text = draft[field].trim();
  if (text.length <= charsMax) return text;
  throw new FieldProblem(
    field,
    `${what} may have ${charsMax.toLocaleString('en')} characters at most, not ${text.length.toLocaleString('en')}.`,
  );
}

function numberProblem(text: string, rule: NumberRule): string | null {
  if (text.trim() === '') return null;
  const value = Number(text);
  const fits = rule.fractions === true ? Number.isFinite(value) : Number.isInteger(value);
  if (fits && value >= rule.min && value <= rule.max) return null;
  const kind = rule.fractions === true ? 'number' : 'whole number';
  const wanted = `${kind} from ${rule.min} to ${rule.max.toLocaleString('en')}`;
  return `${rule.what} must be a ${wanted}, not ${quoted(text.trim())}.`;
}

const FIELD_NAMES: Readonly<Partial<Record<string, DraftField>>> = {
  timeoutMs: 'timeoutSeconds',
  backoffMs: 'backoffSeconds',
  delayMs: 'delaySeconds',
};

/** Where in the form that stands which the server calls `timeoutMs`, `env.PATH`, `after[0]`; null: nowhere. */
export function draftFieldOf(apiField: string): DraftField | null {
  const [name = ''] = apiField.split(/[.[]/, 1);
  const field = FIELD_NAMES[name] ?? name;
  return isDraftField(field) ? field : null;
}

function isDraftField(name: string): name is DraftField {
  return Object.hasOwn(EMPTY_DRAFT, name) && name !== 'mode' && name !== 'files';
}

/** The form after a payload was accepted: the payload gone, the options kept. */
export function afterSend(draft: Draft): Draft {
  return { ...draft, [draft.mode]: '' };
}

/** The form filled in with what was submitted, to be edited and sent again. Defaults stay empty. */
export function draftOf(task: TaskView): Draft {
  const unless = (value: number | null, usual: number | null, factor = 1): string =>
    value === null || value === usual ? '' : String(value / factor);
  return {
    mode: task.script === null ? 'command' : 'script',
    script: task.script ?? '',
    command: task.command === null ? '' : joinCommand(task.command),
    name: task.name ?? '',
    interpreter: task.interpreter === null || task.interpreter === 'python3' ? '' : task.interpreter,
    timeoutSeconds: unless(task.timeoutMs, null, 1000),
    maxAttempts: unless(task.maxAttempts, 1),
    priority: unless(task.priority, 50),
    backoffSeconds: unless(task.backoffMs, 1_000, 1000),
    noRetryExitCodes: task.noRetryExitCodes.join(', '),
    delaySeconds: unless(task.delayMs, 0, 1000),
    cpu: unless(task.cpu, 0),
    memoryMb: unless(task.memoryMb, 0),
    labels: formatPairs(task.labels),
    constraints: formatPairs(task.constraints),
    env: formatPairs(task.env),
    cwd: task.cwd ?? '',
    stdin: task.stdin ?? '',
    after: task.after.join('\n'),
    onDisconnect: task.onDisconnect === 'pause' ? '' : task.onDisconnect,
    collect: task.collect.join('\n'),
    files: task.files,
  };
}

/** A draft kept from before a reload; null where it is not one. Files are too large to keep. */
export function parseDraft(value: unknown): Draft | null {
  if (typeof value !== 'object' || value === null) return null;
  const kept = value as Readonly<Record<string, unknown>>;
  const texts = Object.entries(EMPTY_DRAFT).flatMap(([field, empty]) => {
    const content = kept[field];
    return empty === '' && typeof content === 'string' ? [[field, content] as const] : [];
  });
  return {
    ...EMPTY_DRAFT,
    ...Object.fromEntries(texts),
    mode: kept['mode'] === 'command' ? 'command' : 'script',
  };
}

/** The part of a draft that is kept over a reload. */
export function keptPart(draft: Draft): Omit<Draft, 'files'> {
  const { files, ...rest } = draft;
  return files.length === 0 ? rest : { ...rest };
}
