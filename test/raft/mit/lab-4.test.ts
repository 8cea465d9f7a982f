/** MIT 6.5840, lab 4 (a service on Raft), in so far as its tests are about Raft: partitions, restarts, reads, size, speed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lab } from './lab.ts';
import type { LabServer } from './lab.ts';

function nap(lab: Lab, ms: number): Promise<undefined> {
  return new Promise((resolve) => lab.after(ms, () => resolve(undefined)));
}

/** A client: appends words, each until it is acknowledged, and reads on any server that all its words are there. */
async function client(lab: Lab, name: string, until: () => boolean): Promise<number> {
  const mine: string[] = [];
  for (let n = 0; !until(); n++) {
    const word = `${name}-${n}`;
    for (let acknowledged = false; !acknowledged && !until();) {
      for (const { node } of lab.connected()) {
        const result = await Promise.race([node.propose(Buffer.from(word)), nap(lab, 1_500)]);
        if (result?.kind !== 'applied') continue;
        mine.push(word);
        acknowledged = true;
        break;
      }
      await nap(lab, 5 + lab.below(30));
    }
    const reader = lab.pick();
    const barrier = await Promise.race([reader.node?.readBarrier(), nap(lab, 1_500)]);
    if (barrier?.kind !== 'ready') continue;
    for (const seen of mine)
      assert.ok(reader.machine.words.includes(seen), `${reader.id} reads without ${seen}`);
  }
  return mine.length;
}

/** Splits the servers in two by chance, every now and then. */
async function partitions(lab: Lab, rounds: number, restarts: boolean): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const server of lab.servers) server.side = lab.below(2);
    await lab.pass(1_000 + lab.below(200));
    if (!restarts) continue;
    for (const server of lab.servers) await lab.crash(server);
    for (const server of lab.servers) await lab.restart(server);
  }
  for (const server of lab.servers) server.side = 0;
}

async function clientsUnder(lab: Lab, count: number, restarts: boolean): Promise<void> {
  let stop = false;
  const clients = Array.from({ length: count }, (_, n) => client(lab, `client${n}`, () => stop));
  await partitions(lab, 8, restarts);
  lab.weather = 'reliable';
  await lab.pass(2_000);
  stop = true;
  await lab.pass(4_000);
  const done = await Promise.all(clients);
  assert.ok(
    done.every((words) => words > 0),
    `acknowledged: ${done.join()}`,
  );
  await lab.one('end', lab.servers.length);
  for (const { machine } of lab.servers) assert.deepEqual(machine.words, lab.servers[0]!.machine.words);
  await lab.end();
}

describe('4: a service on Raft', () => {
  it('OnePartition: progress in the majority, none in the minority, and that completes when it is healed', async () => {
    const lab = await Lab.start(5, 40);
    await lab.one('13', 5);
    const leader = await lab.checkOneLeader();
    const minority: LabServer[] = [leader, lab.servers.find((server) => server !== leader)!];
    for (const server of minority) server.side = 1;
    await lab.one('14', 3);
    const waiting = leader.node!.propose(Buffer.from('15'));
    const read = leader.node!.readBarrier();
    await lab.pass(2_000);
    assert.equal(lab.countOf('15'), 0);
    assert.notEqual((await waiting).kind, 'applied');
    assert.notEqual((await read).kind, 'ready');
    for (const server of minority) server.side = 0;
    await lab.one('16', 5);
    assert.deepEqual(leader.machine.words, ['13', '14', '16']);
    await lab.end();
  });

  it('ManyPartitionsOneClient: one client, partitions by chance', async () => {
    await clientsUnder(await Lab.start(5, 41), 1, false);
  });

  it('ManyPartitionsManyClients: five clients, over a network that loses and delays', async () => {
    const lab = await Lab.start(5, 42);
    lab.weather = 'unreliable';
    await clientsUnder(lab, 5, false);
  });

  it('PersistPartitionUnreliable: partitions, restarts of all, an unreliable network, snapshots', async () => {
    const lab = await Lab.start(5, 43, {
      snapshotEveryEntries: 30,
      trailingEntries: 0,
      catchUpBytesMax: 0,
      chunkResendMs: 200,
    });
    lab.weather = 'unreliable';
    await clientsUnder(lab, 5, true);
  });

  it('SnapshotSize: log and stored snapshot stay small, however many commands there were', async () => {
    const lab = await Lab.start(3, 44, { snapshotEveryEntries: 20, trailingEntries: 0, catchUpBytesMax: 0 });
    for (let n = 0; n < 200; n++) await lab.one('x'.repeat(10) + String(n), 3);
    for (const { node, disk } of lab.servers) {
      const { firstIndex, lastIndex } = node!.status();
      assert.ok(lastIndex - firstIndex < 60, `log ${firstIndex}..${lastIndex}`);
      const bytes = [...disk.values()].reduce((sum, value) => sum + value.length, 0);
      assert.ok(bytes < 40_000, `${bytes} bytes stored`);
    }
    await lab.end();
  });

  it('Speed: commands one after the other do not wait for heartbeats', async () => {
    const lab = await Lab.start(3, 45);
    const leader = await lab.checkOneLeader();
    const before = lab.nowMs;
    for (let n = 0; n < 100; n++) {
      const done = leader.node!.propose(Buffer.from(`w${n}`));
      let isDone = false;
      void done.then(() => (isDone = true));
      while (!isDone) await lab.pass(1);
    }
    const each = (lab.nowMs - before) / 100;
    assert.ok(
      each < 20,
      `${each} ms of virtual time for each command: a third of a heartbeat interval at most`,
    );
    await lab.end();
  });
});
