/**
 * A replicated key-value store on src/raft alone: LevelDB below, HTTP above. Start one process per server:
 *
 *     node --import tsx examples/raft-kv/server.ts n1 /tmp/kv1 n1=127.0.0.1:7001 n2=127.0.0.1:7002 n3=127.0.0.1:7003
 *
 *     curl -X PUT --data blue http://127.0.0.1:7001/colour     # on any server; answered when it is committed
 *     curl http://127.0.0.1:7003/colour                        # on any server; sees every write answered before it
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpTransport, LevelKv, RaftNode, UpgradeRouter, systemTimers } from '../../src/raft/index.ts';
import type {
  CommittedCommand,
  KvOp,
  NodeId,
  PeerAddress,
  SnapshotMeta,
  StateMachine,
} from '../../src/raft/index.ts';

const BODY_BYTES_MAX = 64 * 1024;
const CHUNK_PAIRS = 1_000;

/** The state that is replicated: a map in memory. What is not in the log any more is in the snapshot. */
class KvMachine implements StateMachine<number> {
  #map = new Map<string, string>();

  get(key: string): string | undefined {
    return this.#map.get(key);
  }

  apply({ payload, index }: CommittedCommand): number {
    const { key, value } = JSON.parse(Buffer.from(payload).toString()) as { key: string; value: string };
    this.#map.set(key, value);
    return index;
  }

  // Nothing hangs on terms here, and nothing of the state lies in the store beside the log.
  applyTermStart = (): void => undefined;
  takeDirty = (): readonly KvOp[] => [];
  storedAt = (): boolean => false;
  dropBefore = (): readonly KvOp[] => [];

  async *snapshot(): AsyncIterable<Uint8Array> {
    const pairs = [...this.#map];
    for (let at = 0; at < pairs.length; at += CHUNK_PAIRS) {
      await Promise.resolve();
      yield Buffer.from(JSON.stringify(pairs.slice(at, at + CHUNK_PAIRS)));
    }
  }

  async restore(_meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const map = new Map<string, string>();
    for await (const chunk of chunks)
      for (const [key, value] of JSON.parse(Buffer.from(chunk).toString()) as [string, string][])
        map.set(key, value);
    this.#map = map;
  }
}

const [id, folder, ...members] = process.argv.slice(2) as [NodeId, string, ...string[]];
const peers = new Map<NodeId, PeerAddress>();
for (const member of members) {
  const [name = '', host = '', port = ''] = member.split(/[=:]/);
  peers.set(name as NodeId, { host, port: Number(port) });
}
const log = { info: console.log, warn: console.warn, error: console.error };
// Whoever can reach the port may join in: put a check of a token here.
const router = new UpgradeRouter(() => ({ ok: true }));
const machine = new KvMachine();
const node = await RaftNode.open({
  ...{ id, clusterId: 'raft-kv', bootstrap: { voters: [...peers.keys()], learners: [] }, machine },
  kv: await LevelKv.open(folder),
  transport: new HttpTransport({
    ...{ clusterId: 'raft-kv', self: id, peers, router, token: null, log },
    timers: systemTimers,
  }),
  ...{ timers: systemTimers, random: (bound: number) => randomInt(bound), log },
  // A failed write or a broken invariant: the process has to end, and may be started again.
  onFatal: (error) => {
    console.error(error);
    process.exit(1);
  },
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const key = request.url ?? '/';
  const answer = (status: number, body: string): void => void response.writeHead(status).end(`${body}\n`);
  const redirect = (to: NodeId | null): void => {
    const peer = to === null ? undefined : peers.get(to);
    if (peer === undefined) answer(503, 'no leader is known: try again');
    else response.writeHead(307, { location: `http://${peer.host}:${peer.port}${key}` }).end();
  };
  if (request.method === 'PUT') {
    let value = '';
    for await (const chunk of request)
      if ((value += String(chunk)).length > BODY_BYTES_MAX) return answer(413, 'too long');
    const result = await node.propose(Buffer.from(JSON.stringify({ key, value })));
    if (result.kind === 'applied') answer(200, `committed at ${result.result}`);
    else if (result.kind === 'notLeader') redirect(result.leader);
    else
      answer(
        503,
        result.kind === 'unknown' ? 'may or may not be done: read it' : `not done: ${result.limit}`,
      );
    return;
  }
  const barrier = await node.readBarrier();
  const value = machine.get(key);
  if (barrier.kind !== 'ready') answer(503, 'no majority answers: try again');
  else if (value === undefined) answer(404, 'no such key');
  else answer(200, value);
}

const server = createServer((request, response) => void serve(request, response));
router.attach(server);
server.listen(peers.get(id)?.port, peers.get(id)?.host, () => node.start());
process.on('SIGTERM', () => void node.stop().then(() => process.exit(0)));
