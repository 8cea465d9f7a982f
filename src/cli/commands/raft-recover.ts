import type { Command } from 'commander';
import { onRun } from '../context.ts';
import { usageError } from '../exit-code.ts';
import { parseHostPort } from '../flags.ts';
import type { LoadNodeRuntime } from '../node-runtime.ts';

interface RecoverFlags {
  readonly data: string;
  readonly id: string;
  readonly advertise?: { readonly host: string; readonly port: number };
  readonly acceptDataLoss?: true;
}

const WARNING =
  'this makes the server a cluster of its own: what only the other servers had is lost, though clients may have been told ' +
  'that it is safe, and the others can never come back. It is for when a majority of the servers is gone for good, with their ' +
  'disks. Stop all servers, copy the data folder, read docs/recovery.md ("A majority is lost for good"), and repeat the command with --accept-data-loss';

/** `clb raft recover`: offline, on a stopped server's data folder. */
export function addRaftRecover(raft: Command, load: LoadNodeRuntime): void {
  const recover = raft
    .command('recover')
    .summary('after a majority is lost for good: go on with one stopped server alone')
    .description(
      'Rewrite the state of a STOPPED server so that it is the only member of a new cluster. The last resort: see docs/recovery.md.',
    )
    .requiredOption('--data <dir>', "the server's own data folder")
    .requiredOption('--id <id>', "the server's id")
    .option('--advertise <host:port>', 'where it will be reached (default: as before)', parseHostPort)
    .option('--accept-data-loss', 'do it')
    .addHelpText(
      'after',
      '\nExample:\n  clb raft recover --data /var/lib/clb --id server1 --accept-data-loss',
    );
  onRun(recover, async (context, command) => {
    const { data, id, advertise, acceptDataLoss } = command.opts<RecoverFlags>();
    if (acceptDataLoss !== true) throw usageError(WARNING);
    const { recoverServer } = await load();
    const address = advertise === undefined ? null : `${advertise.host}:${advertise.port}`;
    const recovered = await recoverServer({ dataDir: data, id, address });
    context.terminal.object(recovered, recovered.newClusterId, () => {
      const { lastIndex, lastTerm, oldClusterId, newClusterId, former } = recovered;
      context.terminal.line(
        `${id} is a cluster of its own now: ${newClusterId} (it was ${oldClusterId}), with all its log holds, up to entry ${lastIndex} ` +
          `(before that, term ${lastTerm}). Not members any more: ${former.join(', ') || 'none'}. Start it with --peers naming it alone.`,
      );
    });
    return 0;
  });
}
