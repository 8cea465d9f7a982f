/**
 * The live screen of `clb up` on a terminal: the nodes, the tasks by status, the last problems and lines, drawn anew as
 * they change. It has the terminal's second screen to itself; at the end the first one is back as it was, with a last word.
 */
import { LineBuffer } from './line-buffer.ts';
import type { UpOutput } from './output.ts';
import type { PlannedNode } from './plan.ts';
import {
  screenLines,
  type ClusterSeen,
  type Paint,
  type Problem,
  type ProcessState,
  type Tone,
} from './screen-text.ts';

const ESC = '\u001b[';
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
const HOME = `${ESC}H`;
const ERASE_LINE_END = `${ESC}K`;
const SGR: Readonly<Record<Tone, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };
/** Drawn at most so often; what was typed on the screen by mistake is gone after the longer time. */
const DRAW_MS = 100;
const REDRAW_MS = 1_000;
const LINES_KEPT_MAX = 500;
const PROBLEMS_KEPT_MAX = 50;
const ROWS_DEFAULT = 24;
const COLUMNS_DEFAULT = 80;

export interface LiveScreenOptions {
  readonly dataDir: string;
  readonly nodes: readonly PlannedNode[];
  readonly color: boolean;
  readonly output: NodeJS.WriteStream;
  /** Asks the cluster; rejects where no server answers. */
  readonly look: () => Promise<ClusterSeen>;
}

export class LiveScreen implements UpOutput {
  readonly #options: LiveScreenOptions;
  readonly #paint: Paint;
  readonly #processes = new Map<string, ProcessState>();
  readonly #lines = new LineBuffer<string>(LINES_KEPT_MAX);
  readonly #problems = new LineBuffer<Problem>(PROBLEMS_KEPT_MAX);
  #cluster: ClusterSeen | null = null;
  #outOfReach = true;
  #looking = false;
  #stopping = false;
  #shown = false;
  #drawTimer: NodeJS.Timeout | null = null;
  #ticker: NodeJS.Timeout | null = null;
  readonly #onResize = (): void => this.#draw();
  readonly #onExit = (): void => this.#leave();

  constructor(options: LiveScreenOptions) {
    this.#options = options;
    this.#paint = (text, tone) =>
      options.color && text !== '' ? `${ESC}${SGR[tone]}m${text}${ESC}0m` : text;
  }

  start(): void {
    this.#shown = true;
    this.#options.output.write(ENTER);
    this.#options.output.on('resize', this.#onResize);
    process.on('exit', this.#onExit);
    this.#draw();
    this.#ticker = setInterval(() => {
      this.#draw();
      if (!this.#stopping) void this.#look();
    }, REDRAW_MS);
  }

  line(text: string): void {
    this.#lines.push(text);
    this.#soon();
  }

  problem(text: string): void {
    const at = new Date().toTimeString().slice(0, 8);
    for (const line of text.split('\n')) this.#problems.push({ at, text: line });
    this.#soon();
  }

  nodeUp(id: string): void {
    this.#processes.set(id, 'up');
    this.#soon();
  }

  nodeDown(id: string): void {
    this.#processes.set(id, 'down');
    this.#soon();
  }

  allUp(): void {
    void this.#look();
  }

  stopping(): void {
    this.#stopping = true;
    this.#draw();
  }

  end(): void {
    this.#leave();
    const { output, dataDir } = this.#options;
    const problems = this.#problems.all();
    for (const { at, text } of problems) output.write(`${at}  ${text}\n`);
    output.write(`CLB is stopped; what it knows is in ${dataDir}. The same command goes on from there.\n`);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#cluster = await this.#options.look();
      this.#outOfReach = false;
    } catch {
      // The headline says so; what was known last stays.
      this.#outOfReach = true;
    }
    this.#looking = false;
    this.#soon();
  }

  #soon(): void {
    if (!this.#shown) return;
    this.#drawTimer ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw(): void {
    if (this.#drawTimer !== null) clearTimeout(this.#drawTimer);
    this.#drawTimer = null;
    if (!this.#shown) return;
    const { output, dataDir, nodes } = this.#options;
    const size = { columns: output.columns || COLUMNS_DEFAULT, rows: output.rows || ROWS_DEFAULT };
    const state = {
      dataDir,
      nodes,
      processes: this.#processes,
      cluster: this.#cluster,
      outOfReach: this.#outOfReach,
      problems: this.#problems.all(),
      lines: this.#lines.all(),
      stopping: this.#stopping,
    };
    const lines = screenLines(state, size, this.#paint).map((line) => `${line}${ERASE_LINE_END}`);
    // The cursor goes home last: what someone types appears where the next drawing covers it.
    output.write(`${HOME}${lines.join('\r\n')}${HOME}`);
  }

  /** Synchronous: it must also work while the process exits. */
  #leave(): void {
    if (!this.#shown) return;
    this.#shown = false;
    if (this.#ticker !== null) clearInterval(this.#ticker);
    if (this.#drawTimer !== null) clearTimeout(this.#drawTimer);
    this.#options.output.off('resize', this.#onResize);
    process.off('exit', this.#onExit);
    this.#options.output.write(LEAVE);
  }
}
