/** MIT 6.5840, labs 3A (election) and 3B (log), by the names of their tests. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lab } from './lab.ts';

const ELECTION_MS = 1_000;

describe('3A: leader election', () => {
  it('InitialElection: a leader is elected, and without failures it stays', async () => {
    const lab = await Lab.start(3, 1);
    await lab.checkOneLeader();
    await lab.pass(50);
    const term = lab.checkTerms();
    assert.ok(term >= 1);
    await lab.pass(2 * ELECTION_MS);
    assert.equal(lab.checkTerms(), term);
    await lab.checkOneLeader();
    await lab.end();
  });

  it('ReElection: another leader when the first is cut off; none without a quorum; one again when it is back', async () => {
    const lab = await Lab.start(3, 2);
    const first = await lab.checkOneLeader();
    first.connected = false;
    const second = await lab.checkOneLeader();
    assert.notEqual(second.id, first.id);
    first.connected = true;
    assert.equal((await lab.checkOneLeader()).id, second.id, 'the old one does not disturb');

    const other = lab.servers.find((server) => server !== second && server !== first)!;
    second.connected = false;
    other.connected = false;
    await lab.pass(2 * ELECTION_MS);
    lab.checkNoLeader();
    other.connected = true;
    await lab.checkOneLeader();
    second.connected = true;
    await lab.checkOneLeader();
    await lab.end();
  });

  it('ManyElections: three of seven away, again and again: there is always one leader', async () => {
    const lab = await Lab.start(7, 3);
    await lab.checkOneLeader();
    for (let round = 0; round < 10; round++) {
      const away = new Set([lab.pick(), lab.pick(), lab.pick()]);
      for (const server of away) server.connected = false;
      await lab.checkOneLeader();
      for (const server of away) server.connected = true;
    }
    await lab.checkOneLeader();
    await lab.end();
  });
});

describe('3B: log', () => {
  it('BasicAgree: three commands, in order, on all, and none before it was handed in', async () => {
    const lab = await Lab.start(5, 4);
    for (const word of ['a', 'b', 'c']) {
      assert.equal(lab.countOf(word), 0);
      await lab.one(word, 5, false);
    }
    for (const { machine } of lab.servers) assert.deepEqual(machine.words, ['a', 'b', 'c']);
    await lab.end();
  });

  it('RPCBytes: each command is sent to each follower just once', async () => {
    const lab = await Lab.start(3, 5);
    await lab.one('first', 3, false);
    const before = lab.bytes;
    let sent = 0;
    for (let n = 0; n < 10; n++) {
      const word = String(n).repeat(5_000);
      await lab.one(word, 3, false);
      sent += word.length;
    }
    const used = lab.bytes - before;
    assert.ok(used >= 2 * sent && used <= 2 * sent + 50_000, `${used} bytes for ${sent} to two followers`);
    await lab.end();
  });

  it('FollowerFailure: agreement with one follower away, none with two', async () => {
    const lab = await Lab.start(3, 6);
    await lab.one('a', 3, false);
    const leader = await lab.checkOneLeader();
    const [first, second] = lab.servers.filter((server) => server !== leader);
    first!.connected = false;
    await lab.one('b', 2, false);
    await lab.pass(ELECTION_MS);
    await lab.one('c', 2, false);
    second!.connected = false;
    lab.begin('lost');
    await lab.pass(2 * ELECTION_MS);
    assert.equal(lab.countOf('lost'), 0);
    await lab.end();
  });

  it('LeaderFailure: agreement under the next leader, none when that is away too', async () => {
    const lab = await Lab.start(3, 7);
    await lab.one('a', 3, false);
    (await lab.checkOneLeader()).connected = false;
    await lab.one('b', 2);
    await lab.pass(ELECTION_MS);
    await lab.one('c', 2);
    const second = await lab.checkOneLeader();
    second.connected = false;
    for (const { node } of lab.servers) void node?.propose(Buffer.from('lost'));
    await lab.pass(2 * ELECTION_MS);
    assert.equal(lab.countOf('lost'), 0);
    await lab.end();
  });

  it('FailAgree: a follower that was away agrees after it is back', async () => {
    const lab = await Lab.start(3, 8);
    await lab.one('101', 3, false);
    const leader = await lab.checkOneLeader();
    const away = lab.servers.find((server) => server !== leader)!;
    away.connected = false;
    for (const word of ['102', '103']) await lab.one(word, 2, false);
    await lab.pass(ELECTION_MS);
    for (const word of ['104', '105']) await lab.one(word, 2, false);
    away.connected = true;
    await lab.one('106', 3);
    await lab.pass(ELECTION_MS);
    await lab.one('107', 3);
    assert.deepEqual(away.machine.words, ['101', '102', '103', '104', '105', '106', '107']);
    await lab.end();
  });

  it('FailNoAgree: three of five followers away: nothing is committed until they are back', async () => {
    const lab = await Lab.start(5, 9);
    await lab.one('10', 5, false);
    const leader = await lab.checkOneLeader();
    const away = lab.servers.filter((server) => server !== leader).slice(0, 3);
    for (const server of away) server.connected = false;
    assert.notEqual(lab.begin('20'), null);
    await lab.pass(2 * ELECTION_MS);
    assert.equal(lab.countOf('20'), 0);
    for (const server of away) server.connected = true;
    await lab.checkOneLeader();
    await lab.one('30', 5);
    await lab.one('1000', 5);
    await lab.end();
  });

  it('ConcurrentStarts: five commands of one moment are all agreed on, in one order', async () => {
    const lab = await Lab.start(3, 10);
    const leader = await lab.checkOneLeader();
    const words = ['100', '101', '102', '103', '104'];
    const results = words.map((word) => leader.node!.propose(Buffer.from(word)));
    await lab.until('all to be applied', () => words.every((word) => lab.countOf(word) === 3));
    const indexes = (await Promise.all(results)).map((result) =>
      result.kind === 'applied' ? result.index : 0,
    );
    assert.deepEqual(
      indexes.map((index) => index - indexes[0]!),
      [0, 1, 2, 3, 4],
    );
    await lab.end();
  });

  it('Rejoin: a leader that was cut off comes back, and what only it had is gone', async () => {
    const lab = await Lab.start(3, 11);
    await lab.one('101', 3);
    const first = await lab.checkOneLeader();
    first.connected = false;
    for (const word of ['lost1', 'lost2', 'lost3']) void first.node!.propose(Buffer.from(word));
    await lab.one('103', 2);
    const second = await lab.checkOneLeader();
    second.connected = false;
    first.connected = true;
    await lab.one('104', 2);
    second.connected = true;
    await lab.one('105', 3);
    for (const { machine } of lab.servers) assert.deepEqual(machine.words, ['101', '103', '104', '105']);
    await lab.end();
  });

  it('Backup: a leader brings back quickly those whose logs went far astray', async () => {
    const lab = await Lab.start(5, 12);
    await lab.one('start', 5);
    const leader1 = await lab.checkOneLeader();
    const others = lab.servers.filter((server) => server !== leader1);
    const [with1, a, b, c] = others as [typeof leader1, typeof leader1, typeof leader1, typeof leader1];
    for (const server of [a, b, c]) server.connected = false;
    for (let n = 0; n < 50; n++) void leader1.node!.propose(Buffer.from(`astray1-${n}`));
    await lab.pass(ELECTION_MS / 2);
    leader1.connected = false;
    with1.connected = false;
    for (const server of [a, b, c]) server.connected = true;
    for (let n = 0; n < 50; n++) await lab.one(`kept1-${n}`, 3);
    // Now of those three one is away, and the leader collects commands that it can't commit.
    const leader2 = await lab.checkOneLeader();
    const rest = [a, b, c].filter((server) => server !== leader2);
    rest[0]!.connected = false;
    rest[1]!.connected = false;
    for (let n = 0; n < 50; n++) void leader2.node!.propose(Buffer.from(`astray2-${n}`));
    await lab.pass(ELECTION_MS / 2);
    for (const server of lab.servers) server.connected = false;
    for (const server of [leader1, with1, rest[0]!]) server.connected = true;
    for (let n = 0; n < 50; n++) await lab.one(`kept2-${n}`, 3);
    for (const server of lab.servers) server.connected = true;
    await lab.one('end', 5);
    for (const { machine } of lab.servers) {
      assert.equal(machine.words.length, 102);
      assert.ok(!machine.words.some((word) => word.startsWith('astray')));
    }
    await lab.end();
  });

  it('Count: few messages to elect, to agree, and when nothing happens', async () => {
    const lab = await Lab.start(3, 13);
    const leader = await lab.checkOneLeader();
    assert.ok(lab.messages <= 30, `${lab.messages} messages to elect a leader`);
    await lab.one('warm', 3);
    let before = lab.messages;
    const words = Array.from({ length: 10 }, (_, n) => `w${n}`);
    for (const word of words) void leader.node!.propose(Buffer.from(word));
    await lab.until('all', () => words.every((word) => lab.countOf(word) === 3));
    assert.ok(
      lab.messages - before <= (10 + 1 + 3) * 3,
      `${lab.messages - before} messages for ten commands`,
    );
    before = lab.messages;
    await lab.pass(ELECTION_MS);
    assert.ok(lab.messages - before <= 3 * 25, `${lab.messages - before} messages in an idle second`);
    await lab.end();
  });
});
