/**
 * The client of the floor: a closed loop of task cycles over one connection. `client.ts PORT CLIENTS SECS`, forked; its only
 * message is the result.
 */
import { connect } from 'node:net';
import { closedLoop } from '../load.ts';
import { frame, Gathering, onFrame } from './frames.ts';
import type { Request } from './leader.ts';

const [port = 0, clients = 0, secs = 0] = process.argv.slice(2).map(Number);
const leader = connect(port, '127.0.0.1').setNoDelay(true);
const answered = new Map<number, () => void>();
const requests = new Gathering<Buffer>((frames) => leader.write(Buffer.concat(frames)));
let sent = 0;

function send(request: Omit<Request, 'i'>): Promise<void> {
  sent += 1;
  const message: Request = { i: sent, ...request };
  return new Promise((done) => {
    answered.set(message.i, done);
    requests.add(frame(Buffer.from(JSON.stringify(message))));
  });
}

onFrame(leader, (body) => {
  const { i } = JSON.parse(body.toString()) as Pick<Request, 'i'>;
  answered.get(i)?.();
  answered.delete(i);
});
// as long as what CLB stores of a submit and of a result
const result = await closedLoop(clients, secs, async () => {
  await send({ t: 'submit', pad: 'p'.repeat(240) });
  await send({ t: 'complete', pad: 'p'.repeat(190) });
});
process.send?.(result, () => process.exit(0));
