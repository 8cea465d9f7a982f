import { LIMITS } from '../../../../api/limits.ts';
import type { TaskRequest } from '../../../../api/tasks.ts';
import { splitCommand } from './command-line.ts';

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
}

export type DraftField = Exclude<keyof Draft, 'mode'>;

export const EMPTY_DRAFT: Draft = {
  mode: 'script',
  script: '',
  command: '',
  name: '',
  interpreter: '',
  timeoutSeconds: '',
  maxAttempts: '',
  priority: '',
};

export type RequestOutcome =
  | { readonly kind: 'ok'; readonly request: TaskRequest }
  | { readonly kind: 'error'; readonly field: DraftField; readonly message: string };

interface NumberRule {
  readonly field: 'timeoutSeconds' | 'maxAttempts' | 'priority';
  readonly what: string;
  readonly min: number;
  readonly max: number;
}

const NUMBER_RULES: readonly NumberRule[] = [
  { field: 'timeoutSeconds', what: 'The time limit', min: 1, max: LIMITS.timeoutMsMax / 1000 },
  { field: 'maxAttempts', what: 'The number of attempts', min: 1, max: LIMITS.maxAttemptsMax },
  { field: 'priority', what: 'The priority', min: 0, max: 100 },
];

/** The request the form stands for, or the first field that is in its way. The server checks everything again. */
export function toRequest(draft: Draft): RequestOutcome {
  const body = bodyOf(draft);
  if (body.kind === 'error') return body;
  for (const rule of NUMBER_RULES) {
    const message = numberProblem(draft[rule.field], rule);
    if (message !== null) return { kind: 'error', field: rule.field, message };
  }
  const name = draft.name.trim();
  if (name.length > LIMITS.nameCharsMax) {
    return {
      kind: 'error',
      field: 'name',
      message: `The name may have ${LIMITS.nameCharsMax} characters at most.`,
    };
  }
  const timeout = numberOf(draft.timeoutSeconds);
  const maxAttempts = numberOf(draft.maxAttempts);
  const priority = numberOf(draft.priority);
  const request: TaskRequest = {
    ...body.request,
    ...(name === '' ? {} : { name }),
    ...(timeout === null ? {} : { timeoutMs: timeout * 1000 }),
    ...(maxAttempts === null ? {} : { maxAttempts }),
    ...(priority === null ? {} : { priority }),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(request)).byteLength;
  if (bytes > LIMITS.taskBytesMax) {
    const message = `The payload has ${bytes.toLocaleString('en')} bytes; ${LIMITS.taskBytesMax.toLocaleString('en')} are allowed.`;
    return { kind: 'error', field: draft.mode, message };
  }
  return { kind: 'ok', request };
}

function bodyOf(draft: Draft): RequestOutcome {
  switch (draft.mode) {
    case 'script': {
      if (draft.script.trim() === '') {
        const message = 'There is nothing to send yet. Press Generate Payload, or write a script.';
        return { kind: 'error', field: 'script', message };
      }
      const interpreter = draft.interpreter.trim();
      return {
        kind: 'ok',
        request: { script: draft.script, ...(interpreter === '' ? {} : { interpreter }) },
      };
    }
    case 'command': {
      const split = splitCommand(draft.command);
      return split.kind === 'ok'
        ? { kind: 'ok', request: { command: [...split.args] } }
        : { kind: 'error', field: 'command', message: split.message };
    }
  }
}

function numberOf(text: string): number | null {
  return text.trim() === '' ? null : Number(text);
}

function numberProblem(text: string, rule: NumberRule): string | null {
  const value = numberOf(text);
  if (value === null) return null;
  if (Number.isInteger(value) && value >= rule.min && value <= rule.max) return null;
  return `${rule.what} must be a whole number from ${rule.min} to ${rule.max.toLocaleString('en')}.`;
}

/** The form after a payload was accepted: the payload gone, the options kept. */
export function afterSend(draft: Draft): Draft {
  return { ...draft, [draft.mode]: '' };
}

/** A draft kept from before a reload; null where it is not one. */
export function parseDraft(value: unknown): Draft | null {
  if (typeof value !== 'object' || value === null) return null;
  const kept = value as Readonly<Record<string, unknown>>;
  const text = (field: DraftField): string => {
    const content = kept[field];
    return typeof content === 'string' ? content : '';
  };
  return {
    mode: kept['mode'] === 'command' ? 'command' : 'script',
    script: text('script'),
    command: text('command'),
    name: text('name'),
    interpreter: text('interpreter'),
    timeoutSeconds: text('timeoutSeconds'),
    maxAttempts: text('maxAttempts'),
    priority: text('priority'),
  };
}
