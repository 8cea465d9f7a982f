/**
 * Goal: a master that is told to stop (SIGTERM, as at every deploy) costs no election timeout: it hands the lead to another
 * server, which begins its term at once, and clients hardly notice. Seen in what the servers' processes log: who was told to
 * take over becomes a candidate at once, who waited for a timeout asks for pre-votes first.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Load } from './load.ts';
import { ProcessCluster } from './processes.ts';

const HANDOVERS = 3;
/** A machine so busy that a follower hears nothing for an election timeout elects for that reason: not counted, and repeated. */
const ATTEMPTS_MAX = 10;

describe('SIGTERM of the master', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  let load: Load;
  before(async () => {
    cluster = await ProcessCluster.start({ only: ['server1', 'server2', 'server3', 'worker1'] });
    load = new Load(cluster);
  });
  after(async () => {
    load.stop();
    await cluster.destroy();
  });

  /** Changes of role that a server has logged, as `role term`. */
  function roles(id: string): readonly string[] {
    const found = cluster.output(id).matchAll(/raft: (\w+) in term (\d+)/g);
    return [...found].map(([, role, term]) => `${role} ${term}`);
  }

  it('hands the lead over: the next term begins by its word, not by a timeout, and tasks go on being taken', async () => {
    load.start();
    let handovers = 0;
    let slowest = 0;
    for (let attempt = 0; handovers < HANDOVERS; attempt += 1) {
      assert.ok(attempt < ATTEMPTS_MAX, `${handovers} handovers in ${attempt} attempts`);
      await load.accepts(3);
      const master = await cluster.master();
      const { term } = await cluster.raft(master);
      const others = cluster.serverIds.filter((id) => id !== master);
      const seen = new Map(others.map((id) => [id, roles(id).length]));
      load.takeRefusals();
      const began = performance.now();
      await cluster.signal(master, 'SIGTERM');
      const next = await cluster.master();
      await load.accepts(3);
      const tookMs = Math.round(performance.now() - began);
      const refusals = load.takeRefusals();
      const since = new Map(others.map((id) => [id, roles(id).slice(seen.get(id))]));
      cluster.startNode(master);
      await cluster.whenReady();
      const timedOut = [...since.values()].flat().some((change) => change.startsWith('preCandidate'));
      const took = since.get(next) ?? [];
      if (timedOut || !took.includes(`leader ${term + 1}`)) continue;
      handovers += 1;
      assert.ok(took.includes(`candidate ${term + 1}`), took.join(', '));
      // The others let a request wait for the next master; the one that ends sends its clients elsewhere.
      assert.deepEqual(
        refusals.filter((refusal) => !refusal.startsWith(`${master}: 503 {"error":{"code":"UNAVAILABLE"`)),
        [],
      );
      slowest = Math.max(slowest, tookMs);
    }
    await load.finish();
    console.log(
      `  ${HANDOVERS} handovers: from SIGTERM to three more tasks accepted it took at most ${slowest} ms`,
    );
  });
});
