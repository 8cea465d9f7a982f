import { after } from 'node:test';
import { Clb } from '../../src/sdk/clb.ts';
import type { ClbOptions } from '../../src/sdk/options.ts';
import { FakeCluster } from './fake-cluster.ts';

const open: (() => Promise<void> | void)[] = [];

/** Ends what this file's tests started; call once at its top. */
export function endAllAfterwards(): void {
  after(async () => {
    for (const close of open.splice(0)) await close();
  });
}

/** A cluster and a client of it, ended with the file. Times are short: nothing here takes long on purpose. */
export async function clusterAndClient(
  servers: number,
  options: ClbOptions = {},
): Promise<{ cluster: FakeCluster; clb: Clb }> {
  const cluster = await FakeCluster.start(servers);
  const clb = clientOf(cluster.addresses, options);
  open.push(() => cluster.stop());
  return { cluster, clb };
}

export function clientOf(servers: readonly string[], options: ClbOptions = {}): Clb {
  const clb = new Clb({ servers, retryMs: 3_000, hopelessMs: 300, outageMs: 10_000, ...options });
  // Before the cluster: a server that closes waits for its connections.
  open.unshift(() => clb.close());
  return clb;
}

/** Resolves when it is so; for state that tells nobody of its changes. */
export async function until(what: string, condition: () => boolean, limitMs = 8_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
