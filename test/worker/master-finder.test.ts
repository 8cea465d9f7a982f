import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FINDER, hostAndPort, MasterFinder } from '../../src/worker/master-finder.ts';
import { monotonicMs } from '../../src/worker/monotonic.ts';
import { FakeServers } from './fake-master.ts';

const A = '10.0.0.1:3002';
const B = '10.0.0.2:3004';
const C = '10.0.0.3:3005';

describe('the search for the master', () => {
  let servers: FakeServers;
  let finder: MasterFinder | null = null;
  let warnings: string[];
  beforeEach(() => {
    servers = new FakeServers();
    warnings = [];
  });
  afterEach(() => finder?.stop());

  let onFound: (address: string) => void = () => undefined;

  /** Resolves with the address where a welcome came from. */
  function searchAgain(): Promise<string> {
    return new Promise((resolve) => {
      onFound = resolve;
      finder?.start();
    });
  }

  function search(): Promise<string> {
    finder = new MasterFinder({
      servers: [A, B, C],
      dial: servers.dial,
      hello: () => ({
        ...{ kind: 'hello', version: 1, node: 'worker1', role: 'worker', instance: 'i', address: 'x:1' },
        ...{ slots: 1, cpus: 1, memoryMb: 1, labels: {}, held: [], sample: null, leaving: false },
      }),
      onWelcome: (_link, address) => onFound(address),
      warn: (message) => warnings.push(message),
    });
    return searchAgain();
  }

  const redirect = (
    address: string,
    self: string,
    leader: string | null,
    leaderAddress: string | null = null,
  ): void => {
    servers.behavior.set(address, (link) => link.send({ kind: 'redirect', self, leader, leaderAddress }));
  };

  it('passes over servers that refuse the connection or are not the master', async () => {
    redirect(B, 'server2', null);
    servers.behavior.set(C, (link) => link.welcome(1, 'server3'));
    assert.equal(await search(), C);
  });

  it('is not held up by a server that says nothing', async () => {
    servers.behavior.set(A, null);
    servers.behavior.set(B, null);
    servers.behavior.set(C, (link) => link.welcome(1, 'server3'));
    const beganMs = monotonicMs();
    assert.equal(await search(), C);
    assert.ok(monotonicMs() - beganMs < FINDER.answerMs + 2 * FINDER.staggerMs);
  });

  it('goes where a server sends it, and only to addresses it was given', async () => {
    redirect(A, 'server1', 'server3', '192.168.0.9:1');
    redirect(B, 'server2', 'server3', C);
    servers.behavior.set(C, (link) => link.welcome(1, 'server3'));
    await search();
    assert.deepEqual(
      servers.dialed.filter((address) => ![A, B, C].includes(address)),
      [],
    );
  });

  it('remembers where which server answered', async () => {
    redirect(A, 'server1', null);
    redirect(B, 'server2', null);
    servers.behavior.set(C, (link) => link.welcome(1, 'server3'));
    await search();
    // The lead moves; the servers know the new master by name only, under an address that means nothing from here.
    servers.behavior.set(A, (link) => link.welcome(2, 'server1'));
    redirect(B, 'server2', 'server1', 'internal:1');
    redirect(C, 'server3', 'server1', 'internal:1');
    servers.dialed.length = 0;
    assert.equal(await searchAgain(), A);
    assert.equal(servers.dialed[0], C, 'the last master is asked first');
  });

  it('keeps looking until somebody leads', async () => {
    for (const [address, id] of [
      [A, 'server1'],
      [B, 'server2'],
      [C, 'server3'],
    ] as const)
      redirect(address, id, null);
    const found = search();
    while (servers.dialed.length < 7) await new Promise((resolve) => setTimeout(resolve, 5));
    servers.behavior.set(B, (link) => link.welcome(1, 'server2'));
    assert.equal(await found, B);
  });

  it('tells once why it is refused', async () => {
    for (const address of [A, B, C]) {
      servers.behavior.set(address, (link) =>
        link.send({ kind: 'refuse', self: 'server1', reason: 'id taken' }),
      );
    }
    void search();
    while (servers.dialed.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.match(warnings[0] ?? '', /^server1 \(.*\) refuses this node: id taken$/);
    assert.ok(servers.dialed.length <= 3, 'and does not ask again at once');
  });

  it('splits addresses, IPv6 included, and refuses what is none', () => {
    assert.deepEqual(hostAndPort('server1:3002'), { host: 'server1', port: 3002 });
    assert.deepEqual(hostAndPort('[::1]:3002'), { host: '::1', port: 3002 });
    for (const bad of ['server1', ':3002', 'server1:0', 'server1:70000', 'server1:x']) {
      assert.throws(() => hostAndPort(bad), RangeError);
    }
  });
});
