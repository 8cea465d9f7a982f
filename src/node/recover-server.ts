/** `clb raft recover`: see src/raft/storage/recover-alone.ts. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeId } from '../raft/core/types.ts';
import { LevelKv } from '../raft/storage/level-kv.ts';
import { recoverAlone } from '../raft/storage/recover-alone.ts';
import type { Recovered } from '../raft/storage/recover-alone.ts';
import { storageFault, NodeFault } from './faults.ts';

export interface RecoverServerOptions {
  /** The server's own data folder. */
  readonly dataDir: string;
  readonly id: string;
  /** host:port under which it will be reached; null: as before. */
  readonly address: string | null;
}

/** See {@link recoverServer}. */
export type RecoverServer = (options: RecoverServerOptions) => Promise<Recovered>;

/**
 * Makes the state of a stopped server that of a cluster of this server alone.
 * @throws NodeFault
 */
export const recoverServer: RecoverServer = async ({ dataDir, id, address }) => {
  const folder = join(dataDir, 'raft');
  await access(folder).catch((error: unknown) => {
    throw new NodeFault('CONFIG', `${dataDir} is no server's data folder: there is no ${folder}`, error);
  });
  try {
    const kv = await LevelKv.open(folder);
    try {
      return await recoverAlone(kv, { nodeId: id as NodeId, address });
    } finally {
      await kv.close();
    }
  } catch (error) {
    throw storageFault(error, dataDir);
  }
};
