/** POST /faults of a node, and POST /v1/nodes/:id/faults of a server. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { LIMITS } from '../../src/api/limits.ts';
import type { FaultRequest, FaultsView } from '../../src/api/faults.ts';
import type { FaultControl } from '../../src/web/fault-routes.ts';
import { stopNodeByHttp } from '../../src/web/stop-node.ts';
import { ask, closeAll, onClose, startServer, until } from './nodes.ts';

after(closeAll);

class FakeFaults implements FaultControl {
  readonly set_: FaultRequest[] = [];
  readonly frozen: number[] = [];
  stop: () => void = () => undefined;
  set(request: FaultRequest): FaultsView {
    this.set_.push(request);
    const until = '2026-01-01T00:00:00.000Z';
    return { node: 'server1', faults: request.forMs === 0 ? [] : [{ fault: request.fault, until }] };
  }
  freeze(forMs: number): void {
    this.frozen.push(forMs);
  }
  onStop(stop: () => void): void {
    this.stop = stop;
  }
}

describe('POST /v1/nodes/:id/faults', () => {
  it('puts a fault into the node asked, and freezes it only once the answer is out', async () => {
    const faults = new FakeFaults();
    const { address } = await startServer({ faults });
    const cut = await ask(address, '/v1/nodes/server1/faults', { body: { fault: 'cut-off', forMs: 5_000 } });
    assert.deepEqual([cut.status, faults.set_], [200, [{ fault: 'cut-off', forMs: 5_000 }]]);
    assert.deepEqual(faults.frozen, []);
    const frozen = await ask(address, '/faults', { body: { fault: 'freeze', forMs: 10 } });
    assert.equal(frozen.status, 200);
    await until(() => faults.frozen.length === 1, 'it froze');
    assert.deepEqual(faults.frozen, [10]);
  });

  it('reaches another node as /stop does', async () => {
    const faults = new FakeFaults();
    const other = await startServer({ nodeId: 'server2', faults });
    const via = stopNodeByHttp((id) => (id === 'server2' ? other.address : null), null);
    onClose(via.close);
    const { address } = await startServer({ injectFault: via.injectFault });
    const body = { fault: 'stop-at-assignment', forMs: 30_000 };
    const answer = await ask(address, '/v1/nodes/server2/faults', { body });
    assert.equal(answer.status, 200);
    assert.deepEqual(faults.set_, [body]);
    const unknown = await ask(address, '/v1/nodes/nobody/faults', { body });
    assert.equal(unknown.json.error.code, 'NOT_FOUND');
  });

  it('is refused where fault injection is off, and names the field and the limit of what is wrong', async () => {
    const off = await startServer({ stop: null });
    const body = { fault: 'cut-off', forMs: 1 };
    assert.equal((await ask(off.address, '/v1/nodes/server1/faults', { body })).status, 403);
    assert.equal((await ask(off.address, '/v1/nodes/server2/faults', { body })).status, 403);
    assert.equal((await ask(off.address, '/faults', { body })).status, 403);
    const { address } = await startServer({ faults: new FakeFaults() });
    const long = await ask(address, '/v1/nodes/server1/faults', { body: { fault: 'freeze', forMs: 60_001 } });
    assert.equal(long.status, 400);
    assert.match(long.json.error.message, new RegExp(`^forMs: .*${LIMITS.faultMsMax}`));
    const odd = await ask(address, '/v1/nodes/server1/faults', { body: { fault: 'melt', forMs: 1 } });
    assert.match(odd.json.error.message, /^fault: /);
    assert.equal((await ask(address, '/faults')).status, 404);
  });

  it('stops the node as /stop does when the armed moment has come', async () => {
    const faults = new FakeFaults();
    const { address, stop } = await startServer({ faults });
    faults.stop();
    await until(() => stop.stopped, 'it stopped');
    assert.equal((await ask(address, '/v1/nodes')).status, 418);
  });
});
