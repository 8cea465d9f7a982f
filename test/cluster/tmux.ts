/** A real terminal for tests: tmux, driven by keys and read by its screen. */
import { spawnSync } from 'node:child_process';
import { eventually } from './processes.ts';

export const HAS_TMUX = spawnSync('tmux', ['-V']).status === 0;

export class Tmux {
  readonly #socket: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(name: string, env: NodeJS.ProcessEnv) {
    this.#socket = `clb-test-${name}-${process.pid}`;
    this.#env = env;
  }

  /** A window of its own that runs the shell command. */
  open(window: string, command: string, size: { readonly columns: number; readonly rows: number }): void {
    this.#tmux('new-session', '-d', '-s', window, '-x', `${size.columns}`, '-y', `${size.rows}`, command);
  }

  /** Types text, or presses keys by tmux's names (`Enter`, `C-c`, `Tab`). */
  type(window: string, text: string, ...keys: readonly string[]): void {
    if (text !== '') this.#tmux('send-keys', '-t', window, '-l', text);
    if (keys.length > 0) this.#tmux('send-keys', '-t', window, ...keys);
  }

  resize(window: string, size: { readonly columns: number; readonly rows: number }): void {
    this.#tmux('resize-window', '-t', window, '-x', `${size.columns}`, '-y', `${size.rows}`);
  }

  /** What the window shows; with `colors` escape sequences too. */
  screen(window: string, colors = false): string {
    return this.#tmux('capture-pane', '-p', ...(colors ? ['-e'] : []), '-t', window);
  }

  async shows(window: string, wanted: RegExp, timeoutMs = 60_000): Promise<string> {
    try {
      return await eventually(
        `${String(wanted)} on the terminal`,
        () => {
          const screen = this.screen(window);
          return wanted.test(screen) ? screen : null;
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${String(error)}\n${this.screen(window)}`, { cause: error });
    }
  }

  end(): void {
    spawnSync('tmux', ['-L', this.#socket, 'kill-server']);
  }

  #tmux(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('tmux', ['-L', this.#socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: this.#env,
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}
