/** The leader of the floor: what it is given is durable on a majority of three when it answers. It leads for ever. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { frame, Gathering, onFrame } from './frames.ts';
import { GroupCommitLog } from './log.ts';

/** Of three that count, the leader included. */
const MAJORITY = 2;

/** What a client sends; the answer repeats `i`. */
export interface Request {
  readonly i: number;
  readonly t: 'submit' | 'complete';
  readonly pad: string;
}

/** Gathers what comes in one turn of the event loop, sends it to all followers and writes it, both at once. */
export class Leader {
  readonly #followers: readonly Socket[];
  /** Up to where all is durable: here, then on each follower. */
  readonly #match: number[];
  /** By index: those who wait for the entries that are not committed yet. */
  readonly #waiting: (() => void)[] = [];
  readonly #log: GroupCommitLog;
  readonly #next = new Gathering<Buffer>((entries) => {
    const message = frame(Buffer.concat(entries));
    for (const follower of this.#followers) follower.write(message);
    this.#log.append(entries);
  });
  #committed = 0;

  private constructor(log: GroupCommitLog, followers: readonly Socket[], match: number[]) {
    this.#log = log;
    this.#followers = followers;
    this.#match = match;
  }

  /** Leads followers at these ports, with a log of its own in `folder`. */
  static async start(folder: string, followerPorts: readonly number[]): Promise<Leader> {
    const followers = await Promise.all(
      followerPorts.map(async (port) => {
        const follower = connect(port, '127.0.0.1').setNoDelay(true);
        await once(follower, 'connect');
        return follower;
      }),
    );
    const match = [0, ...followers.map(() => 0)];
    const log = await GroupCommitLog.open(folder, (index) => leader.#durable(0, index));
    const leader = new Leader(log, followers, match);
    for (const [at, follower] of followers.entries()) {
      onFrame(follower, (body) => leader.#durable(at + 1, body.readDoubleBE(0)));
    }
    return leader;
  }

  /** Listens for clients. Returns the port. */
  async serve(): Promise<number> {
    const server = createServer((client) => {
      client.setNoDelay(true);
      client.on('error', () => undefined); // it has ended
      const answers = new Gathering<Buffer>((frames) => client.write(Buffer.concat(frames)));
      onFrame(client, (body) => {
        const request = JSON.parse(body.toString()) as Request;
        void this.#replicate(request).then(() =>
          answers.add(frame(Buffer.from(`{"i":${request.i},"ok":true}`))),
        );
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  #replicate(request: Request): Promise<void> {
    return new Promise((committed) => {
      this.#waiting.push(committed);
      this.#next.add(frame(Buffer.from(JSON.stringify(request))));
    });
  }

  #durable(voter: number, index: number): void {
    this.#match[voter] = index;
    const onMajority = [...this.#match].sort((a, b) => b - a)[MAJORITY - 1] ?? 0;
    if (onMajority <= this.#committed) return;
    for (const committed of this.#waiting.splice(0, onMajority - this.#committed)) committed();
    this.#committed = onMajority;
  }
}
