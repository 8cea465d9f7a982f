/**
 * The guard: a shell on a pipe that outlives the launcher. The launcher tells it what runs; when the pipe ends (which it does
 * however the launcher dies, SIGKILL included) it kills all of it. So no payload runs on without its launcher, i.e. without
 * somebody who would pause it when the node loses the master.
 *
 * The pipe only ends when a process that the launcher was just forking has come to its exec too (until then the fork holds
 * a copy of the pipe), so nothing can slip through between fork and registration: `?` is written before the fork.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/**
 * Lines: `? SLOT TASK NUMBER` about to be started, `+ SLOT PGID` started, `- SLOT` nothing of it is left. A slot is a
 * small number that the launcher chooses. Works with any POSIX shell; forks nothing until the pipe has ended.
 */
const GUARD_SCRIPT = `
trap '' HUP INT TERM QUIT TSTP
while IFS=' ' read -r op slot a b; do
  case $op in
    '?') eval "task$slot=\\$a number$slot=\\$b group$slot=" ;;
    +) eval "group$slot=\\$a" ;;
    -) unset "task$slot" "number$slot" "group$slot" ;;
  esac
done
slots=$(set | sed -n 's/^group\\([0-9][0-9]*\\)=.*/\\1/p')
[ -n "$slots" ] || exit 0
exec 2> /dev/null
groups=' '
tasks=
marks=' '
# What has left its session and its environment is still in its control group.
if [ -n "$1" ]; then
  for file in "$1"/*/cgroup.kill; do [ -w "$file" ] && echo 1 > "$file"; done
fi
for slot in $slots; do
  eval "group=\\$group$slot task=\\$task$slot number=\\$number$slot"
  tasks="$tasks $task"
  marks="$marks$task/$number "
  [ -n "$group" ] || continue
  kill -KILL -- "-$group"
  groups="$groups$group "
done
[ -r /proc/self/stat ] || exit 0

# Kills what is still in one of the sessions, or carries one of the markers; tells whether there was anything.
sweep() {
  found=1
  for file in /proc/[0-9]*/stat; do
    read -r line < "$file" || continue
    pid=\${file#/proc/}
    pid=\${pid%/stat}
    set -- \${line##*) }
    case $1 in Z|X) continue ;; esac
    case $groups in *" $4 "*) kill -KILL "$pid" && found=0 ;; esac
  done
  # One look for all attempts: a hundred of them would take seconds one by one.
  for file in $(printf 'CLB_TASK_ID=%s\\n' $tasks | grep -lsF -f - /proc/[0-9]*/environ); do
    task=$(tr '\\0' '\\n' < "$file" | sed -n 's/^CLB_TASK_ID=//p')
    number=$(tr '\\0' '\\n' < "$file" | sed -n 's/^CLB_ATTEMPT=//p')
    case $marks in *" $task/$number "*) ;; *) continue ;; esac
    pid=\${file#/proc/}
    kill -KILL "\${pid%/environ}" && found=0
  done
  return $found
}
rounds=0
clean=0
# Twice nothing: what is in the middle of an exec has no environment for an instant.
while [ $clean -lt 2 ] && [ $rounds -lt 200 ]; do
  rounds=$((rounds + 1))
  if sweep; then clean=0; else clean=$((clean + 1)); fi
  sleep 0.02
done
`;

export const GUARD = {
  /** A shell that keeps dying can't guard anything. */
  restartsMax: 100,
  /** What is gone is told with the next line, or after this time: every line wakes the shell up. */
  goneDelayMs: 50,
} as const;

export class Guard {
  readonly #onFatal: (error: Error) => void;
  #shell: ChildProcess | null = null;
  #stopped = false;
  /** What the guard has been told, for the next one should it die. Lines by slot. */
  readonly #told = new Map<number, string>();
  #freeSlots: number[] = [];
  #slotsMade = 0;
  #restarts = 0;
  /** Lines not told yet. */
  #waiting = '';
  #waitTimer: NodeJS.Timeout | null = null;

  constructor(onFatal: (error: Error) => void) {
    this.#onFatal = onFatal;
  }

  /** `groupsFolder`: where the control groups of the attempts are; null: nowhere. */
  start(groupsFolder: string | null): void {
    const shell = spawn('sh', ['-c', GUARD_SCRIPT, 'clb-guard', groupsFolder ?? ''], {
      // A session of its own: no signal meant for the launcher or its terminal reaches it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      cwd: '/',
    });
    this.#shell = shell;
    shell.on('error', (error) =>
      this.#onFatal(new Error(`the guard (sh) can't be started: ${error.message}`)),
    );
    shell.stdin.on('error', () => undefined); // its exit follows
    shell.on('exit', () => {
      if (this.#stopped || shell !== this.#shell) return;
      this.#restarts += 1;
      if (this.#restarts > GUARD.restartsMax) {
        this.#onFatal(new Error('the guard (sh) keeps dying'));
        return;
      }
      this.#waiting = '';
      this.start(groupsFolder);
      for (const lines of this.#told.values()) this.#tell(lines);
    });
  }

  /** 0 if there is none. */
  get pid(): number {
    return this.#shell?.pid ?? 0;
  }

  /** Call before the fork; returns the slot by which the attempt is called from then on. */
  announce(task: string, number: number): number {
    const slot = this.#freeSlots.pop() ?? this.#slotsMade++;
    const line = `? ${slot} ${task} ${number}\n`;
    this.#told.set(slot, line);
    this.#tell(line);
    return slot;
  }

  /** Its process exists and leads this group. */
  started(slot: number, pgid: number): void {
    const line = `+ ${slot} ${pgid}\n`;
    this.#told.set(slot, (this.#told.get(slot) ?? '') + line);
    this.#tell(line);
  }

  /** Nothing of it is left. */
  gone(slot: number): void {
    this.#told.delete(slot);
    this.#freeSlots.push(slot);
    this.#waiting += `- ${slot}\n`;
    this.#waitTimer ??= setTimeout(() => this.#tell(''), GUARD.goneDelayMs);
  }

  /** It ends when it has read that nothing is left to do. */
  stop(): void {
    this.#stopped = true;
    this.#tell('');
    this.#shell?.stdin?.end();
  }

  #tell(lines: string): void {
    if (this.#waitTimer !== null) clearTimeout(this.#waitTimer);
    this.#waitTimer = null;
    const all = this.#waiting + lines;
    this.#waiting = '';
    if (all !== '') this.#shell?.stdin?.write(all);
  }
}
