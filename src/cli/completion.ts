/** Shell completion, written from the commands themselves: what `--help` shows is what can be completed. */
import type { Argument, Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What a word may be: one of a list, or what the cluster or the file system has. */
type Values =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' | 'nodes' | 'tasks' | 'any' };

interface Known {
  /** Words after `clb` that lead to it: `raft transfer`; empty for `clb` itself. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly text: string }[];
  readonly argument: Values;
}

interface Completions {
  readonly commands: readonly Known[];
  /** Options that take a value. */
  readonly options: readonly { readonly flags: readonly string[]; readonly value: Values }[];
}

/** The script that a shell is to read. */
export function completionScript(program: Command, shell: Shell): string {
  const completions = completionsOf(program);
  switch (shell) {
    case 'bash':
      return bashScript(completions);
    case 'zsh':
      return zshScript(completions);
    case 'fish':
      return fishScript(completions);
  }
}

function completionsOf(program: Command): Completions {
  const commands: Known[] = [];
  const options = new Map<string, Completions['options'][number]>();
  const visit = (command: Command, path: string): void => {
    const own = command.options.filter(({ hidden }) => !hidden);
    for (const option of own) {
      if (option.required || option.optional) options.set(flagsOf(option).join(), valueOf(option));
    }
    const all = command === program ? own : [...own, ...program.options];
    commands.push({
      path,
      words: [
        ...command.commands.map((sub) => ({ word: sub.name(), text: sub.summary() })),
        ...all.flatMap((option) => flagsOf(option).map((word) => ({ word, text: option.description }))),
        { word: '--help', text: 'print the help' },
      ],
      argument: argumentOf(command.registeredArguments[0]),
    });
    for (const sub of command.commands) visit(sub, `${path} ${sub.name()}`.trim());
  };
  visit(program, '');
  return { commands, options: [...options.values()] };
}

function flagsOf(option: Option): readonly string[] {
  return [option.short, option.long].filter((flag) => flag != null);
}

function valueOf(option: Option): Completions['options'][number] {
  const flags = flagsOf(option);
  if (option.argChoices !== undefined) return { flags, value: { kind: 'words', words: option.argChoices } };
  const isPath = /<(file|dir|folder|path)>/i.test(option.flags);
  return { flags, value: { kind: isPath ? 'files' : option.long === '--after' ? 'tasks' : 'any' } };
}

function argumentOf(argument: Argument | undefined): Values {
  if (argument === undefined) return { kind: 'any' };
  if (argument.argChoices !== undefined) return { kind: 'words', words: argument.argChoices };
  const name = argument.name();
  return { kind: name === 'node' ? 'nodes' : name === 'id' ? 'tasks' : 'any' };
}

/** A shell command that prints the values, a word each; null: whatever the shell does by itself. */
function printer(values: Values): string | null {
  switch (values.kind) {
    case 'words':
      return `echo ${values.words.join(' ')}`;
    case 'nodes':
      return 'clb nodes -q 2>/dev/null';
    case 'tasks':
      return 'clb tasks -q --limit 50 2>/dev/null';
    case 'files':
    case 'any':
      return null;
  }
}

/** Shared by bash and zsh: from the words before the cursor to the command meant, and to what may follow. */
function finder({ commands, options }: Completions): string {
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`);
  const values = options.map(({ flags, value }) => {
    const print = printer(value);
    return `    ${flags.join('|')}) ${print === null ? 'return 1' : `${print}; return 0`} ;;`;
  });
  const follow = commands.map(({ path, words, argument }) => {
    const print = printer(argument);
    const list = words.map(({ word }) => word).join(' ');
    return `    "${path}") echo ${list}${print === null ? '' : `; case "$cur" in -*) ;; *) ${print} ;; esac`} ;;`;
  });
  return `# Prints what may stand at the cursor; fails where the shell knows better (files).
# Arguments: the word at the cursor, the one before it, all before it. (Not "path": in zsh that is PATH.)
_clb_words() {
  local cur="$1" prev="$2" at="" word
  shift 2
  case "$prev" in
${values.join('\n')}
  esac
  for word in "$@"; do
    case "$word" in
      --) return 1 ;;
      -*) continue ;;
    esac
    case "\${at:+$at }$word" in
      ${paths.join('|')}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at" in
${follow.join('\n')}
  esac
}
`;
}

function bashScript(completions: Completions): string {
  return `# bash completion of clb:  source <(clb completion bash)
${finder(completions)}
_clb() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" words
  COMPREPLY=()
  words="$(_clb_words "$cur" "$prev" "\${COMP_WORDS[@]:1:COMP_CWORD-1}")" || return 0
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -o bashdefault -F _clb clb
`;
}

function zshScript(completions: Completions): string {
  return `#compdef clb
# zsh completion of clb:  source <(clb completion zsh), or as a file _clb in a folder of $fpath
${finder(completions)}
_clb() {
  local list
  list="$(_clb_words "\${words[CURRENT]}" "\${words[CURRENT-1]}" "\${(@)words[2,CURRENT-1]}")" || { _files; return }
  compadd -- \${=list}
}
if [ "$funcstack[1]" = "_clb" ]; then _clb "$@"; else compdef _clb clb; fi
`;
}

function fishScript({ commands, options }: Completions): string {
  const lines = commands.flatMap(({ path, words, argument }) => {
    const when = `-n '__clb_at "${path}"'`;
    const print = printer(argument);
    return [
      ...words.map(({ word, text }) => {
        const name = word.startsWith('--')
          ? `-l ${word.slice(2)}`
          : word.startsWith('-')
            ? `-s ${word.slice(1)}`
            : `-f -a ${word}`;
        const option = options.find(({ flags }) => flags.includes(word));
        const value = option === undefined ? '' : ` ${fishValue(option.value)}`;
        return `complete -c clb ${when} ${name}${value} -d ${fishText(text)}`;
      }),
      ...(print === null ? [] : [`complete -c clb ${when} -f -a '(${fishCommand(print)})'`]),
    ];
  });
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`);
  return `# fish completion of clb:  clb completion fish | source
function __clb_at
  set -l path
  for word in (commandline -opc)[2..-1]
    test "$word" = "--"; and return 1
    string match -q -- '-*' $word; and continue
    contains -- (string join ' ' $path $word) ${paths.join(' ')}; and set -a path $word
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`;
}

/** What follows an option. */
function fishValue(value: Values): string {
  const print = printer(value);
  if (value.kind === 'files') return '-r -F';
  return print === null ? '-x' : `-x -a '(${fishCommand(print)})'`;
}

function fishText(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

/** `echo` prints one line in fish; a candidate is a line. */
function fishCommand(print: string): string {
  return print.startsWith('echo ') ? `string split " " "${print.slice('echo '.length)}"` : print;
}
