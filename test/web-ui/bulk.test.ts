/** Many payloads acted on at once: all are tried, what failed is told, and it can be ended. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Api } from '../../src/web/ui/src/net/api.ts';
import { Client } from '../../src/web/ui/src/net/client.ts';
import { Bulk } from '../../src/web/ui/src/state/bulk.ts';
import { initialState } from '../../src/web/ui/src/state/app-state.ts';
import type { AppState } from '../../src/web/ui/src/state/app-state.ts';
import { Store } from '../../src/web/ui/src/state/store.ts';
import { MemoryServer } from './harness.ts';
import { task } from './tasks.ts';

function setUp(): { server: MemoryServer; store: Store<AppState>; bulk: Bulk } {
  const server = new MemoryServer();
  const client = new Client({
    ...{ fetch: server.fetch, readMs: 1_000, changeMs: 1_000 },
    onAnswer: () => undefined,
  });
  const store = new Store<AppState>(initialState(0));
  return { server, store, bulk: new Bulk(store, new Api(client)) };
}

describe('a bulk action', () => {
  it('tries all, whatever becomes of some, and tells which could not be', async () => {
    const { server, store, bulk } = setUp();
    const ids = Array.from({ length: 25 }, (_, at) => server.put(task(at)).id);
    server.trouble = (call) => (call.includes('task-0007') ? 'CONFLICT' : null);
    const running = bulk.run('cancel', { kind: 'ids', ids });
    assert.equal(store.get().bulk?.state, 'running');
    await running;
    const told = store.get().bulk!;
    assert.deepEqual([told.state, told.total, told.done, told.failed], ['over', 25, 24, 1]);
    assert.equal(told.failures[0]?.id, ids[7]);
    bulk.dismiss();
    assert.equal(store.get().bulk, null);
  });

  it('finds what passes a filter and suits the action', async () => {
    const { server, store, bulk } = setUp();
    for (let at = 0; at < 12; at += 1) server.put(task(at, { status: at % 3 === 0 ? 'failed' : 'queued' }));
    await bulk.run('cancel', { kind: 'filter', filter: { status: 'queued', q: '', cursor: null } });
    assert.equal(store.get().bulk?.done, 8);
  });

  it('stops when told to, after the calls that are under way', async () => {
    const { server, store, bulk } = setUp();
    const ids = Array.from({ length: 60 }, (_, at) => server.put(task(at)).id);
    const running = bulk.run('retry', { kind: 'ids', ids });
    bulk.stop();
    await running;
    const { state, done } = store.get().bulk!;
    assert.equal(state, 'stopped');
    assert.ok(done < 60, `${done} were done`);
  });
});
