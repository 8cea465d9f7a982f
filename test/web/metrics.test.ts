/** /metrics: what it tells of the cluster, and that documents, dashboard and alerts name nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { ask, closeAll, startServer } from './nodes.ts';

after(closeAll);

const docs = new URL('../../docs/', import.meta.url);

async function scrape(address: string): Promise<string> {
  const { status, text } = await ask(address, '/metrics');
  assert.equal(status, 200);
  return text;
}

describe('/metrics', () => {
  it('tells role, pause, placement latency, lost attempts and expired leases', async () => {
    const { address, cluster } = await startServer();
    cluster.paused = true;
    const first = await scrape(address);
    assert.match(first, /^clb_raft_role\{role="leader"\} 1$/m);
    assert.match(first, /^clb_raft_role\{role="follower"\} 0$/m);
    assert.match(first, /^clb_queue_paused 1$/m);
    await scrape(address);
    assert.equal(cluster.listeners, 1, 'the log is followed once');
    const attempt = {
      ...{ number: 1, node: 'worker1', startedAt: null, finishedAt: null, outcome: null },
      ...{ exitCode: null, signal: null, reason: null, placement: null },
      assignedAt: '2026-01-01T00:00:03.000Z',
    };
    const { id } = cluster.add({ attempts: [attempt], delayMs: 1_000 });
    const event = {
      kind: 'task',
      id,
      name: null,
      status: 'assigned',
      node: 'worker1',
      exitCode: null,
    } as const;
    cluster.tell([{ ...event, what: 'assigned', attempt: 1 }]);
    cluster.tell([{ ...event, what: 'assigned', attempt: 2 }]);
    cluster.tell([{ ...event, id: 'gone', what: 'assigned', attempt: 1 }]);
    cluster.tell([
      { ...event, what: 'lost', attempt: 1 },
      { kind: 'node', id: 'worker1', status: 'down' },
      { kind: 'node', id: 'worker1', status: 'ready' },
    ]);
    const second = await scrape(address);
    assert.match(second, /^clb_task_placement_seconds_sum 2$/m);
    assert.match(second, /^clb_task_placement_seconds_count 1$/m);
    assert.match(second, /^clb_task_attempts_lost_total 1$/m);
    assert.match(second, /^clb_node_lease_expiries_total\{node="worker1"\} 1$/m);
  });

  it('has what the document lists, and dashboard and alerts use nothing else', async () => {
    const { address } = await startServer();
    const text = await scrape(address);
    const there = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? ''));
    const namesOf = (file: string): Set<string> =>
      new Set(
        [...readFileSync(new URL(file, docs), 'utf8').matchAll(/\bclb_[a-z_]+/g)].map(([name]) =>
          name.replace(/_bucket$/, ''),
        ),
      );
    assert.deepEqual(
      [...namesOf('metrics.md')].filter((name) => name !== 'clb_').toSorted(),
      [...there].toSorted(),
    );
    for (const file of ['grafana/clb.json', 'grafana/alerts.yml']) {
      const used = namesOf(file);
      assert.ok(used.size > 5);
      for (const name of used) assert.ok(there.has(name), `${file}: ${name}`);
    }
    const { panels } = JSON.parse(readFileSync(new URL('grafana/clb.json', docs), 'utf8')) as {
      panels: readonly { id: number; targets: readonly { expr: string }[] }[];
    };
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.ok(panels.every(({ targets }) => targets.every(({ expr }) => expr.includes('clb_'))));
  });
});
