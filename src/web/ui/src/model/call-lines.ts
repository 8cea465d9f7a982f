import { joinCommand, splitCommand } from './command-line.ts';
import type { Draft } from './draft.ts';
import { toRequest } from './draft.ts';

/** What a heredoc ends with; a script that has such a line gets a longer one. */
const END = 'END';

/** The form as commands for a shell, or why it stands for none yet. */
export type CallLines =
  | { readonly kind: 'ok'; readonly clb: string; readonly curl: string }
  | { readonly kind: 'none'; readonly reason: string };

/** `origin`: where this page came from, for example http://127.0.0.1:3001. */
export function callLines(draft: Draft, origin: string): CallLines {
  const built = toRequest(draft);
  if (built.kind === 'error') return { kind: 'none', reason: built.message };
  const body = JSON.stringify(built.request);
  const curl = `curl -X POST ${origin}/v1/tasks -H 'Content-Type: application/json' --data ${quoted(body)}`;
  return { kind: 'ok', clb: clbLine(draft, new URL(origin).host), curl };
}

function clbLine(draft: Draft, server: string): string {
  const given = (flag: string, value: string): readonly string[] => {
    const text = value.trim();
    return text === '' ? [] : [flag, joinCommand([text])];
  };
  const seconds = draft.timeoutSeconds.trim();
  const flags = [
    ...given('--name', draft.name),
    ...given('--timeout', seconds === '' ? '' : `${seconds}s`),
    ...given('--max-attempts', draft.maxAttempts),
    ...given('--priority', draft.priority),
  ];
  const start = ['clb', '--server', server, 'submit', ...flags];
  if (draft.mode === 'command') {
    const split = splitCommand(draft.command);
    return [...start, '--', joinCommand(split.kind === 'ok' ? split.args : [])].join(' ');
  }
  const line = [...start, ...given('--interpreter', draft.interpreter), '-f', '-'].join(' ');
  const end = endOf(draft.script);
  return `${line} <<'${end}'\n${draft.script}${draft.script.endsWith('\n') ? '' : '\n'}${end}`;
}

function endOf(script: string): string {
  const lines = new Set(script.split('\n'));
  let end = END;
  while (lines.has(end)) end += '_';
  return end;
}

/** One word for a POSIX shell, whatever it holds. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
