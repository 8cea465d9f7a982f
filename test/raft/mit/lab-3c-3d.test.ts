/** MIT 6.5840, labs 3C (persistence) and 3D (log compaction), by the names of their tests. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lab } from './lab.ts';
import type { LabServer } from './lab.ts';

const ELECTION_MS = 1_000;
/** Snapshots after a few commands, and nothing of the log kept behind them. */
const SNAPSHOTS = {
  snapshotEveryEntries: 20,
  trailingEntries: 0,
  trailingBytes: 0,
  catchUpBytesMax: 0,
  chunkResendMs: 200,
} as const;

async function crashAll(lab: Lab): Promise<void> {
  for (const server of lab.servers) await lab.crash(server);
}
async function restartAll(lab: Lab): Promise<void> {
  for (const server of lab.servers) if (server.node === null) await lab.restart(server);
}

/** Figure 8 of the paper, by chance: leaders come and go before they can commit. */
async function figure8(lab: Lab, rounds: number, away: (leader: LabServer) => Promise<void>): Promise<void> {
  let up = lab.servers.length;
  for (let round = 0; round < rounds; round++) {
    let leader: LabServer | undefined;
    for (const server of lab.connected()) {
      if (server.node.status().role !== 'leader') continue;
      void server.node.propose(Buffer.from(`round-${round}-${server.id}`));
      leader = server;
    }
    await lab.pass(lab.below(10) === 0 ? lab.below(500) : lab.below(13));
    if (leader !== undefined) {
      await away(leader);
      up--;
    }
    if (up < 3) {
      const back = lab.pick();
      if (back.node === null || !back.connected) {
        if (back.node === null) await lab.restart(back);
        back.connected = true;
        up++;
      }
    }
  }
  for (const server of lab.servers) server.connected = true;
  await restartAll(lab);
}

/** Clients that hand in words all the time, while servers are cut off and restarted. */
async function churn(lab: Lab): Promise<void> {
  const acknowledged: string[] = [];
  let stop = false;
  const client = async (name: number): Promise<void> => {
    for (let n = 0; !stop; n++) {
      const word = `client${name}-${n}`;
      for (const { node } of lab.connected()) {
        const result = await Promise.race([node.propose(Buffer.from(word)), nap(lab, 2_000)]);
        if (result?.kind === 'applied') {
          acknowledged.push(word);
          break;
        }
      }
      await nap(lab, 10 + lab.below(40));
    }
  };
  const clients = [0, 1, 2].map(client);
  for (let round = 0; round < 20; round++) {
    if (lab.below(1_000) < 200) lab.pick().connected = false;
    if (lab.below(1_000) < 500) {
      const server = lab.pick();
      if (server.node === null) await lab.restart(server);
      server.connected = true;
    }
    if (lab.below(1_000) < 200) await lab.crash(lab.pick());
    await lab.pass(700);
  }
  lab.weather = 'reliable';
  for (const server of lab.servers) server.connected = true;
  await restartAll(lab);
  stop = true;
  await lab.pass(3_000);
  await Promise.all(clients);
  await lab.one('end', lab.servers.length);
  for (const { machine } of lab.servers) {
    const words = new Set(machine.words);
    for (const word of acknowledged) assert.ok(words.has(word), `${word} is lost`);
    assert.deepEqual(machine.words, lab.servers[0]!.machine.words);
  }
  assert.ok(acknowledged.length > 20, `${acknowledged.length} commands were acknowledged`);
}

/** Virtual time; resolves to nothing. */
function nap(lab: Lab, ms: number): Promise<undefined> {
  return new Promise((resolve) => lab.after(ms, () => resolve(undefined)));
}

describe('3C: persistence', () => {
  it('Persist1: every server, the leader, and followers are restarted; the log is there', async () => {
    const lab = await Lab.start(3, 20);
    await lab.one('11', 3);
    await crashAll(lab);
    await restartAll(lab);
    await lab.one('12', 3);
    const leader1 = await lab.checkOneLeader();
    await lab.crash(leader1);
    await lab.restart(leader1);
    await lab.one('13', 3);
    const leader2 = await lab.checkOneLeader();
    await lab.crash(leader2);
    await lab.one('14', 2);
    await lab.restart(leader2);
    await lab.one('15', 3);
    const follower = lab.servers.find((server) => server.node?.status().role !== 'leader')!;
    await lab.crash(follower);
    await lab.one('16', 2);
    await lab.restart(follower);
    await lab.one('17', 3);
    for (const { machine } of lab.servers) assert.equal(machine.words.join(), '11,12,13,14,15,16,17');
    await lab.end();
  });

  it('Persist2: again and again, with some of five away while others restart', async () => {
    const lab = await Lab.start(5, 21);
    for (let round = 0; round < 5; round++) {
      await lab.one(`${round}a`, 5);
      const leader = await lab.checkOneLeader();
      const at = lab.servers.indexOf(leader);
      const next = (offset: number): LabServer => lab.servers[(at + offset) % 5]!;
      await lab.crash(next(1));
      await lab.crash(next(2));
      await lab.one(`${round}b`, 3);
      for (const offset of [0, 3, 4]) await lab.crash(next(offset));
      await lab.restart(next(1));
      await lab.restart(next(2));
      await lab.pass(ELECTION_MS);
      await lab.restart(next(3));
      await lab.one(`${round}c`, 3);
      await lab.restart(next(4));
      await lab.restart(next(0));
    }
    await lab.one('1000', 5);
    await lab.end();
  });

  it('Persist3: a leader and one follower of a partition crash; the leader restarts', async () => {
    const lab = await Lab.start(3, 22);
    await lab.one('101', 3);
    const leader = await lab.checkOneLeader();
    const [first, second] = lab.servers.filter((server) => server !== leader);
    second!.connected = false;
    await lab.one('102', 2);
    await lab.crash(leader);
    await lab.crash(first!);
    second!.connected = true;
    await lab.restart(leader);
    await lab.one('103', 2);
    await lab.restart(first!);
    await lab.one('104', 3);
    for (const { machine } of lab.servers) assert.equal(machine.words.join(), '101,102,103,104');
    await lab.end();
  });

  it('Figure8: leaders crash before they can commit what others left', async () => {
    const lab = await Lab.start(5, 23);
    await lab.one('start', 5);
    await figure8(lab, 300, (leader) => lab.crash(leader));
    await lab.one('end', 5);
    await lab.end();
  });

  it('UnreliableAgree: fifty rounds of commands over a network that loses and delays', async () => {
    const lab = await Lab.start(5, 24);
    lab.weather = 'unreliable';
    for (let round = 1; round < 50; round++) {
      for (let n = 0; n < 4; n++) lab.begin(`${round}-${n}`);
      await lab.one(`round ${round}`, 1);
    }
    lab.weather = 'reliable';
    await lab.one('100', 5);
    await lab.end();
  });

  it('Figure8Unreliable: the same with leaders cut off, and answers that arrive seconds later', async () => {
    const lab = await Lab.start(5, 25);
    lab.weather = 'unreliable';
    await lab.one('start', 1);
    await figure8(lab, 300, (leader) => {
      if (lab.below(1_000) < 500) leader.connected = false;
      if (lab.weather === 'unreliable') lab.weather = 'long reordering';
      return Promise.resolve();
    });
    lab.weather = 'unreliable';
    await lab.one('end', 5);
    await lab.end();
  });

  it('ReliableChurn: clients while servers come and go', async () => {
    const lab = await Lab.start(5, 26);
    await churn(lab);
    await lab.end();
  });

  it('UnreliableChurn: the same over a network that loses and delays', async () => {
    const lab = await Lab.start(5, 27);
    lab.weather = 'unreliable';
    await churn(lab);
    await lab.end();
  });
});

describe('3D: log compaction', () => {
  /** Snapshots all the time; one server away now and then for longer than the log reaches back. */
  async function snapshots(lab: Lab, how: 'always there' | 'cut off' | 'crashed'): Promise<void> {
    await lab.one('start', 3);
    for (let round = 0; round < 12; round++) {
      let victim: LabServer | null = null;
      if (how !== 'always there') {
        const leader = await lab.checkOneLeader();
        victim = round % 3 === 1 ? leader : lab.servers[(lab.servers.indexOf(leader) + 1) % 3]!;
        if (how === 'crashed') await lab.crash(victim);
        else victim.connected = false;
        await lab.one(`away ${round}`, 2);
      }
      for (let n = 0; n < 24; n++) await lab.one(`${round}-${n}`, victim === null ? 3 : 2);
      if (victim !== null) {
        if (how === 'crashed') await lab.restart(victim);
        victim.connected = true;
      }
      await lab.one(`back ${round}`, 3);
    }
    for (const { node, machine } of lab.servers) {
      const { snapshotIndex, firstIndex, lastIndex } = node!.status();
      assert.ok(snapshotIndex > 100, `snapshot at ${snapshotIndex}`);
      assert.ok(lastIndex - firstIndex < 100, 'the log is bounded');
      assert.deepEqual(machine.words, lab.servers[0]!.machine.words);
    }
    await lab.end();
  }

  it('SnapshotBasic: snapshots while commands go on', async () => {
    await snapshots(await Lab.start(3, 30, SNAPSHOTS), 'always there');
  });

  it('SnapshotInstall: servers that were cut off come back by snapshots', async () => {
    await snapshots(await Lab.start(3, 31, SNAPSHOTS), 'cut off');
  });

  it('InstallUnreliable: the same over a network that loses and delays', async () => {
    const lab = await Lab.start(3, 32, SNAPSHOTS);
    lab.weather = 'unreliable';
    await snapshots(lab, 'cut off');
  });

  it('InstallCrash: servers that crashed come back by snapshots', async () => {
    await snapshots(await Lab.start(3, 33, SNAPSHOTS), 'crashed');
  });

  it('InstallUnCrash: the same over a network that loses and delays', async () => {
    const lab = await Lab.start(3, 34, SNAPSHOTS);
    lab.weather = 'unreliable';
    await snapshots(lab, 'crashed');
  });

  it('SnapshotAllCrash: all crash and come back, with snapshots in between', async () => {
    const lab = await Lab.start(3, 35, SNAPSHOTS);
    await lab.one('start', 3);
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 21 + lab.below(10); n++) await lab.one(`${round}-${n}`, 3);
      const before = lab.servers[0]!.machine.words.length;
      await crashAll(lab);
      await restartAll(lab);
      await lab.one(`back ${round}`, 3);
      for (const { machine } of lab.servers) assert.equal(machine.words.length, before + 1);
    }
    await lab.end();
  });

  it('SnapshotInit: a server that starts from a snapshot writes another one before it has applied anything', async () => {
    const lab = await Lab.start(3, 36, SNAPSHOTS);
    for (let n = 0; n < 25; n++) await lab.one(`first-${n}`, 3);
    await crashAll(lab);
    await restartAll(lab);
    // One command, so that what is written now follows the snapshot, and a crash again.
    await lab.one('one', 3);
    await crashAll(lab);
    await restartAll(lab);
    await lab.one('two', 3);
    for (const { machine } of lab.servers) {
      assert.equal(machine.words.length, 27);
      assert.deepEqual(machine.words.slice(-2), ['one', 'two']);
    }
    await lab.end();
  });
});
