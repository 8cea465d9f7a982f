/** Where `clb up` says what happens: plain lines, or a live screen (live-screen.ts). */

export interface UpOutput {
  start(): void;
  /** A node's log line, `CONTAINER_ID,LINE`. */
  line(text: string): void;
  /** One clear line about a problem. */
  problem(text: string): void;
  nodeUp(id: string): void;
  nodeDown(id: string): void;
  /** Every node has come up once. */
  allUp(): void;
  stopping(): void;
  /** Leaves the terminal as it was. */
  end(): void;
}

/** For pipes and files: nodes' lines and the banner to stdout, problems to stderr. */
export class PlainOutput implements UpOutput {
  readonly #banner: string;

  constructor(banner: string) {
    this.#banner = banner;
  }

  start(): void {
    // Nothing is shown before there is something to tell.
  }

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  problem(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  nodeUp(): void {
    // Its own lines tell.
  }

  nodeDown(): void {
    // A problem line tells.
  }

  allUp(): void {
    process.stdout.write(`${this.#banner}\n`);
  }

  stopping(): void {
    this.problem('stopping; once more to stop at once');
  }

  end(): void {
    // A pipe needs no cleaning up.
  }
}
