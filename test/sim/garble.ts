import type { Message } from '../../src/raft/core/types.ts';
import { messageBytes, readMessage, writeMessage } from '../../src/raft/transport/codec.ts';
import type { Random } from './random.ts';
import { broken } from './sim-failure.ts';

/** No message has a kind with this number. */
const UNKNOWN_KIND = 0xee;

/** I16: a message that is cut short, followed by something, or of no known kind is refused by whoever reads it. */
export function checkGarbled(message: Message, random: Random): void {
  const whole = new Uint8Array(messageBytes(message));
  writeMessage(Buffer.from(whole.buffer), 0, message);
  // A chunk's data is what is left of its frame; that a snapshot is whole is checked when it is put in force.
  const ways =
    message.kind === 'snapshotChunk' ? (['unknown'] as const) : (['cut', 'longer', 'unknown'] as const);
  const way = random.pick<'cut' | 'longer' | 'unknown'>(ways);
  let bytes = whole;
  if (way === 'cut') bytes = whole.subarray(0, random.below(whole.length));
  else if (way === 'longer') bytes = Uint8Array.from([...whole, random.below(256)]);
  else whole[0] = UNKNOWN_KIND;
  try {
    readMessage(bytes, message.from, message.to);
  } catch {
    return;
  }
  broken('I16', `a ${message.kind} (${way}) is read as if it were whole`);
}
