/** A client node for tests: on a real LevelDB, in front of whatever servers a test gives it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClientApp } from '../../src/web/client-app.ts';
import type { ClientAppOptions } from '../../src/web/client-app.ts';
import { SentTasks } from '../../src/web/client-store.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { ask, FakeLines, FakeLog, guardWith, listen, onClose, until } from './nodes.ts';

/** A folder that goes when the tests are over. */
export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'clb-client-'));
  onClose(() => rm(path, { recursive: true, force: true }));
  return path;
}

export interface TestClient {
  readonly address: string;
  readonly port: number;
  readonly lines: FakeLines;
  readonly sent: SentTasks;
  /** As at the end of the process. */
  readonly end: () => Promise<void>;
}

export async function startClient(
  servers: readonly string[],
  options: Partial<ClientAppOptions> & { readonly dataDir?: string } = {},
): Promise<TestClient> {
  const lines = new FakeLines();
  const dataDir = options.dataDir ?? (await folder());
  const sent = await SentTasks.open(dataDir, { onFatal: (error) => assert.fail(error) });
  const app = createClientApp({
    nodeId: 'client',
    version: '0.0.0',
    guard: guardWith(),
    port: 3001,
    servers,
    token: null,
    lines,
    writeLine: lines.write,
    sent,
    uiDir: join(dataDir, 'no-page'),
    metrics: new NodeMetrics({ id: 'client', version: '0.0.0' }),
    log: new FakeLog(),
    ...options,
  });
  let ended: Promise<void> | null = null;
  const end = (): Promise<void> =>
    (ended ??= app.stop().then(async () => {
      await sent.close();
      app.close();
    }));
  onClose(end);
  app.start();
  const { address, port } = await listen(app.handle);
  await until(async () => {
    const { status } = await ask(address, '/readyz');
    return status === 200 || servers.length === 0 || options.token !== undefined;
  }, 'the client is ready');
  return { address, port, lines, sent, end };
}
