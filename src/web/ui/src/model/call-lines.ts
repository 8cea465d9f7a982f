import { joinCommand, splitCommand } from './command-line.ts';
import { linesOf, wordsOf } from './draft-fields.ts';
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

/** Flag and value; nothing where there is no value. */
function flag(name: string, value: string, unit = ''): readonly string[] {
  const text = value.trim();
  return text === '' ? [] : [name, joinCommand([`${text}${unit}`])];
}

function flags(draft: Draft): readonly string[] {
  const each = (name: string, values: readonly string[]): readonly string[] =>
    values.flatMap((value) => flag(name, value));
  return [
    ...flag('--name', draft.name),
    ...flag('--timeout', draft.timeoutSeconds, 's'),
    ...flag('--max-attempts', draft.maxAttempts),
    ...flag('--backoff', draft.backoffSeconds, 's'),
    ...each('--give-up-on', wordsOf(draft.noRetryExitCodes)),
    ...flag('--priority', draft.priority),
    ...flag('--delay', draft.delaySeconds, 's'),
    ...flag('--cpu', draft.cpu),
    ...flag('--memory', draft.memoryMb, 'M'),
    ...each('--label', linesOf(draft.labels)),
    ...each('--constraint', linesOf(draft.constraints)),
    ...each('--env', linesOf(draft.env)),
    ...flag('--cwd', draft.cwd),
    ...each('--after', wordsOf(draft.after)),
    ...flag('--on-disconnect', draft.onDisconnect),
    ...each('--collect', linesOf(draft.collect)),
    // The files themselves are on the disk of whoever types the line.
    ...each(
      '--with-file',
      draft.files.map(({ path }) => path),
    ),
  ];
}

function clbLine(draft: Draft, server: string): string {
  const start = ['clb', '--server', server, 'submit', ...flags(draft)];
  const stdin = draft.stdin === '' ? [] : ['--stdin'];
  if (draft.mode === 'command') {
    const split = splitCommand(draft.command);
    const line = [...start, ...stdin, '--', joinCommand(split.kind === 'ok' ? split.args : [])].join(' ');
    return stdin.length === 0 ? line : heredoc(line, draft.stdin);
  }
  const interpreter = flag('--interpreter', draft.interpreter);
  if (stdin.length === 0) return heredoc([...start, ...interpreter, '-f', '-'].join(' '), draft.script);
  // The standard input is one: the script has to come from a file then.
  const line = heredoc([...start, ...interpreter, ...stdin, '-f', 'script.py'].join(' '), draft.stdin);
  return `${heredoc('cat > script.py', draft.script)}\n${line}`;
}

function heredoc(line: string, text: string): string {
  const lines = new Set(text.split('\n'));
  let end = END;
  while (lines.has(end)) end += '_';
  return `${line} <<'${end}'\n${text}${text.endsWith('\n') ? '' : '\n'}${end}`;
}

/** One word for a POSIX shell, whatever it holds. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
