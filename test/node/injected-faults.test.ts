/** Goal: each injected fault does what its description says, ends by itself, and leaves two log lines. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { ConnectionCut } from '../../src/net/connection-cut.ts';
import { UpgradeRouter } from '../../src/net/upgrade.ts';
import { InjectedFaults } from '../../src/node/injected-faults.ts';

function faultsOf(role: 'server' | 'worker' = 'server') {
  const lines: string[] = [];
  const cut = new ConnectionCut();
  const faults = new InjectedFaults({ node: 'node1', role, cut, writeLine: (line) => lines.push(line) });
  return { faults, cut, lines };
}

describe('injected faults', () => {
  it('cut off: connections are closed, none is opened or accepted, plain HTTP goes on, until it ends', async () => {
    const { faults, cut, lines } = faultsOf();
    const router = new UpgradeRouter(
      () => ({ ok: true }),
      (socket) => cut.admit(socket),
    );
    const accepted: Socket[] = [];
    router.handle('echo', (socket) => accepted.push(socket));
    const server = createServer((_request, response) => response.end('plain'));
    router.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const options = { host: '127.0.0.1', port, protocol: 'echo', headers: {}, timeoutMs: 5_000 };
    const other = new ConnectionCut();
    const inbound = await other.dial(options);
    inbound.on('error', () => undefined);
    const closed = once(inbound, 'close');

    faults.set({ fault: 'cut-off', forMs: 60_000 });
    await closed;
    await assert.rejects(cut.dial(options), /cut off from the network/);
    await assert.rejects(other.dial(options), /hang up|reset/i);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'plain');

    assert.deepEqual(faults.set({ fault: 'cut-off', forMs: 0 }).faults, []);
    const again = await other.dial(options);
    const own = await cut.dial(options);
    assert.deepEqual(lines, ['Fault injected: cut-off for 60000 ms', 'Fault ended: cut-off']);
    for (const socket of [again, own, ...accepted]) socket.destroy();
    server.close();
  });

  it('ends by itself', async () => {
    const { faults, cut, lines } = faultsOf();
    const view = faults.set({ fault: 'cut-off', forMs: 20 });
    assert.deepEqual([view.faults[0]?.fault, cut.active], ['cut-off', true]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(cut.active, false);
    assert.equal(lines.at(-1), 'Fault ended: cut-off');
  });

  it('freeze: nothing of this thread runs meanwhile', async () => {
    const { faults } = faultsOf();
    const ticks = new Set<number>();
    const ticker = setInterval(() => ticks.add(performance.now()), 5);
    const begun = performance.now();
    faults.freeze(150);
    assert.ok(performance.now() - begun >= 149);
    assert.equal(ticks.size, 0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    clearInterval(ticker);
    assert.notEqual(ticks.size, 0);
  });

  it('stop at assignment: armed until used, and only where tasks are assigned', () => {
    const { faults, lines } = faultsOf();
    let stops = 0;
    faults.onStop(() => (stops += 1));
    faults.assignmentReached();
    assert.equal(stops, 0);
    faults.set({ fault: 'stop-at-assignment', forMs: 60_000 });
    assert.equal(faults.stopsAtAssignment, true);
    faults.assignmentReached();
    faults.assignmentReached();
    assert.deepEqual([stops, faults.stopsAtAssignment], [1, false]);
    assert.equal(lines.length, 2);
    assert.throws(() => faultsOf('worker').faults.set({ fault: 'stop-at-assignment', forMs: 1 }), {
      code: 'CONFLICT',
      message: 'node1 is a worker: it never assigns a task',
    });
  });
});
