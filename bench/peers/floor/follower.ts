/**
 * A follower of the floor: makes durable what the leader sends, and says up to where. `follower.ts FOLDER`, forked; its only
 * message is its port.
 *
 * From the leader: frames that hold entries, each in a frame of its own. To the leader: frames of the index (a double) up to
 * which all is durable.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { frame, framesIn, onFrame } from './frames.ts';
import { GroupCommitLog } from './log.ts';

let leader: Socket | null = null;
const log = await GroupCommitLog.open(process.argv[2] ?? '', (index) => {
  const body = Buffer.alloc(8);
  body.writeDoubleBE(index);
  leader?.write(frame(body));
});
const server = createServer((socket) => {
  leader = socket;
  socket.setNoDelay(true);
  onFrame(socket, (body) => {
    const entries = framesIn(body).frames;
    for (const entry of entries) JSON.parse(entry.toString()); // as one that applies them has to
    log.append(entries.map(frame));
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
