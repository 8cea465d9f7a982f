/** Which server is asked what, and when, while the cluster's view is open. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeCluster } from './fake-cluster.ts';
import { FakeClock } from './fake-clock.ts';
import { Api } from '../../src/web/ui/src/net/api.ts';
import { Client } from '../../src/web/ui/src/net/client.ts';
import { initialState } from '../../src/web/ui/src/state/app-state.ts';
import type { AppState } from '../../src/web/ui/src/state/app-state.ts';
import { ClusterWatch } from '../../src/web/ui/src/state/cluster-watch.ts';
import { Store } from '../../src/web/ui/src/state/store.ts';

function watch(answer: (server: string) => Promise<Response> | null = () => null) {
  const clock = new FakeClock();
  const cluster = new FakeCluster();
  const calls: string[] = [];
  const store = new Store<AppState>(initialState(clock.now()));
  const client = new Client({
    fetch: (input) => {
      const url = new URL(input as string, 'http://page');
      const server = url.searchParams.get('via') ?? 'server2';
      calls.push(`${url.pathname} ${server}`);
      const body = url.pathname.endsWith('/log')
        ? { entries: cluster.logEntries() }
        : cluster.raftView(server);
      return answer(server) ?? Promise.resolve(Response.json(body));
    },
    onAnswer: () => undefined,
    readMs: 6_000,
    changeMs: 6_000,
  });
  const clusterWatch = new ClusterWatch({ store, api: new Api(client), clock });
  return { clock, cluster, calls, store, clusterWatch };
}

const stopped = (): Promise<Response> =>
  Promise.resolve(Response.json({ error: { code: 'STOPPED', message: 'stopped' } }, { status: 418 }));

describe('the watch over the servers', () => {
  it('asks each of them by itself, every second, and nobody once it is closed', async () => {
    const { clock, calls, store, clusterWatch } = watch();
    const end = clusterWatch.start();
    await clock.pass(100);
    const { servers } = store.get().raft;
    assert.deepEqual(
      servers.map(({ id, view }) => [id, view?.role]),
      [
        ['server1', 'leader'],
        ['server2', 'follower'],
        ['server3', 'follower'],
      ],
    );
    await clock.pass(2_000);
    assert.equal(calls.filter((call) => call === '/v1/raft server3').length, 3);
    end();
    calls.length = 0;
    await clock.pass(5_000);
    assert.deepEqual(calls, []);
  });

  it('says which server is stopped, and goes on asking the others', async () => {
    const { clock, store, clusterWatch } = watch((server) => (server === 'server3' ? stopped() : null));
    const end = clusterWatch.start();
    await clock.pass(3_000);
    const [first, , third] = store.get().raft.servers;
    assert.equal(third?.problem, 'stopped');
    assert.equal(first?.problem, null);
    end();
  });

  it('does not let one that hangs keep the others waiting', async () => {
    const never = new Promise<Response>(() => undefined);
    const { clock, calls, clusterWatch } = watch((server) => (server === 'server1' ? never : null));
    const end = clusterWatch.start();
    await clock.pass(10_000);
    assert.equal(calls.filter((call) => call === '/v1/raft server1').length, 1);
    assert.ok(calls.filter((call) => call === '/v1/raft server2').length >= 4, calls.join());
    end();
  });
});
