/** The form as commands for a shell: what a shell makes of them is what the form would send. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { addTaskOptions, taskRequest } from '../../src/cli/task-flags.ts';
import type { TaskFlags } from '../../src/cli/task-flags.ts';
import { callLines } from '../../src/web/ui/src/model/call-lines.ts';
import { EMPTY_DRAFT, toRequest } from '../../src/web/ui/src/model/draft.ts';
import type { Draft } from '../../src/web/ui/src/model/draft.ts';

const ORIGIN = 'http://127.0.0.1:3001';

/** Arguments and standard input that a program of this name gets when a shell runs the line. */
function run(line: string, program: string): { readonly args: readonly string[]; readonly stdin: string } {
  const show = `${program}() { printf '%s\\0' "$@"; printf '\\1'; case " $* " in *' -f - '*) cat;; esac; }`;
  const { stdout, stderr } = spawnSync('sh', ['-c', `${show}\n${line}`], { encoding: 'utf8', input: '' });
  assert.equal(stderr, '');
  const [args = '', stdin = ''] = stdout.split('\u0001');
  return { args: args.split('\0').slice(0, -1), stdin };
}

function lines(draft: Partial<Draft>): { readonly clb: string; readonly curl: string } {
  const made = callLines({ ...EMPTY_DRAFT, ...draft }, ORIGIN);
  return made.kind === 'ok' ? made : assert.fail(made.reason);
}

describe('the same from a shell', () => {
  const script = "print('it''s $HOME `date`')\nEND\nprint(\"\\n\")\n";

  it('gives clb the script as it is, whatever it holds, and every option', () => {
    const { clb } = lines({
      script,
      name: "it's",
      timeoutSeconds: '5',
      maxAttempts: '3',
      priority: '70',
      interpreter: 'python3.12',
    });
    const { args, stdin } = run(clb, 'clb');
    assert.equal(stdin, script);
    assert.deepEqual(args, [
      ...['--server', '127.0.0.1:3001', 'submit', '--name', "it's", '--timeout', '5s', '--max-attempts', '3'],
      ...['--priority', '70', '--interpreter', 'python3.12', '-f', '-'],
    ]);
  });

  it('gives clb flags that its own parser turns into the task that the form would send', () => {
    const draft: Partial<Draft> = {
      ...{ mode: 'command', command: 'convert in.png out.jpg', maxAttempts: '3', backoffSeconds: '2' },
      ...{ noRetryExitCodes: '2 64', delaySeconds: '10', cpu: '1.5', memoryMb: '256', onDisconnect: 'stop' },
      ...{ labels: 'team=blue', constraints: 'gpu=yes', env: "A=it's\nB=$HOME", cwd: '/tmp' },
      ...{ after: 'a1b2c3 d4e5f6', collect: '*.jpg', priority: '7', timeoutSeconds: '60', name: 'x y' },
    };
    const { args } = run(lines(draft).clb, 'clb');
    const built = toRequest({ ...EMPTY_DRAFT, ...draft });
    const command = addTaskOptions(new Command('submit')).exitOverride();
    command.parse(args.slice(args.indexOf('submit') + 1), { from: 'user' });
    const flags = command.opts<TaskFlags>();
    // Ids are looked up before they become part of the request: a prefix will do there.
    const request = { ...taskRequest(flags, command.args), after: flags.after };
    assert.deepEqual(request, built.kind === 'ok' ? built.request : null);
  });

  it('gives clb a command as its arguments', () => {
    const { clb } = lines({ mode: 'command', command: `sh -c 'echo "$1"; date' x` });
    assert.deepEqual(run(clb, 'clb').args.slice(2), ['submit', '--', 'sh', '-c', 'echo "$1"; date', 'x']);
  });

  it('gives curl the body that the form would send', () => {
    const draft = { ...EMPTY_DRAFT, script, name: "it's" };
    const { args } = run(lines(draft).curl, 'curl');
    const built = toRequest(draft);
    assert.deepEqual(JSON.parse(args.at(-1) ?? ''), built.kind === 'ok' ? built.request : null);
    assert.ok(args.includes(`${ORIGIN}/v1/tasks`));
    assert.ok(args.includes('Content-Type: application/json'));
  });

  it('is not there while the form stands for nothing', () => {
    assert.equal(callLines(EMPTY_DRAFT, ORIGIN).kind, 'none');
    assert.equal(callLines({ ...EMPTY_DRAFT, script: 'x', priority: '101' }, ORIGIN).kind, 'none');
  });
});
