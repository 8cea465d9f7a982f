import type { Command } from 'commander';
import type { PeersView } from '../../api/peers.ts';
import type { RaftLogEntryView, RaftView } from '../../api/views.ts';
import type { ServerRaft } from '../../sdk/cluster-client.ts';
import { LIMITS } from '../../api/limits.ts';
import { onRun, type Context } from '../context.ts';
import { EXIT, usageError } from '../exit-code.ts';
import { wholeNumber } from '../flags.ts';
import { age, NONE, printable } from '../format.ts';
import type { LoadNodeRuntime } from '../node-runtime.ts';
import type { Column } from '../table.ts';
import type { Color } from '../terminal.ts';
import { watch } from '../watch.ts';
import { addRaftRecover } from './raft-recover.ts';

export function addRaft(program: Command, load: LoadNodeRuntime): void {
  const raft = program
    .command('raft')
    .summary('consensus: who leads, how far each server is')
    .description('Consensus: who leads, how far each server is, what the log holds.')
    .addHelpText(
      'after',
      `
Examples:
  clb raft
  clb raft --watch
  clb raft -o json | jq -r .leader
  clb raft log --from 100 --to 120
  clb raft transfer server2
  clb raft add server4 d.lan:3002
  clb raft remove server1`,
    );
  const status = raft
    .command('status', { isDefault: true })
    .summary("each server's role, term and position; who leads since when (default)")
    .description('Ask every server given for its own view. Exits with 4 where there is no master.')
    .option('--watch', 'keep what is shown up to date (in a pipe: print what changes)')
    .addHelpText('after', '\nExamples:\n  clb raft\n  clb raft status --watch');
  onRun(status, async (context, command) =>
    command.opts<{ watch?: true }>().watch === true ? watchStatus(context) : showStatus(context),
  );
  const log = raft
    .command('log')
    .summary('decoded log entries')
    .description('Print decoded log entries as the server asked has them (the first that answers).')
    .option('--from <index>', 'first index (default: the last 20)', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option(
      '--to <index>',
      'last index (default: the last there is)',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .addHelpText(
      'after',
      `
Examples:
  clb raft log
  clb raft log --from 100 --to 120 -o jsonl | jq .data`,
    );
  onRun(log, showLog);
  const transfer = raft
    .command('transfer')
    .summary('make another server the master')
    .description(
      'Hand the lead to another voter, and wait until it leads. Tasks that run are not touched. Fails with 3 where there ' +
        'is no such voter, with 1 where it cannot be reached or does not take the lead in time.',
    )
    .argument('<node>', 'its name, as in `clb raft`')
    .addHelpText('after', '\nExample:\n  clb raft transfer server2 && clb raft');
  onRun(transfer, handOver);
  addRaftRecover(raft, load);
  addMembership(raft);
}

function addMembership(raft: Command): void {
  const add = raft
    .command('add')
    .summary('add a server, or give a learner its vote')
    .description(
      'Add a server that runs already (clb server --join), and wait until it has its vote. It gets the log first, at most for ' +
        '50 s; if it has not caught up by then it stays a learner, and asking again goes on. Ids are never used twice.',
    )
    .argument('<id>', 'its name')
    .argument('<host:port>', 'where the other servers reach it')
    .option('--learner', 'let it have the log, but no vote')
    .addHelpText('after', '\nExample:\n  clb raft add server4 d.lan:3002');
  onRun(add, async (context, command) => {
    const [id = '', address = ''] = command.args;
    const learner = command.opts<{ learner?: true }>().learner ?? false;
    const clb = await context.clb();
    return showPeers(context, await clb.addPeer(id, { address, ...(learner ? { learner } : {}) }), id);
  });
  const remove = raft
    .command('remove')
    .summary('remove a server, the master too')
    .description(
      'Remove a server, and wait until that is committed. It gives back its tasks and ends; its id is never used again. ' +
        'Refused where the servers left would have no majority within reach.',
    )
    .argument('<id>', 'its name, as in `clb raft`')
    .addHelpText('after', '\nExample:\n  clb raft remove server1');
  onRun(remove, async (context, command) => {
    const [id = ''] = command.args;
    const clb = await context.clb();
    return showPeers(context, await clb.removePeer(id), id);
  });
  const snapshot = raft
    .command('snapshot')
    .summary('take a snapshot now')
    .description(
      'Take a snapshot of the server asked (the first of --server that answers) and drop the log before it.',
    )
    .addHelpText('after', '\nExample:\n  clb --server 127.0.0.1:3004 raft snapshot');
  onRun(snapshot, async ({ clb, terminal }) => {
    const taken = await (await clb()).takeSnapshot();
    terminal.object(taken, String(taken.index), () =>
      terminal.line(
        `${taken.id} has a snapshot of entry ${taken.index}, its log begins at ${taken.firstIndex}`,
      ),
    );
    return 0;
  });
}

function showPeers({ terminal }: Context, view: PeersView, changed: string): number {
  terminal.object(view, changed, () => {
    const peer = view.peers.find(({ id }) => id === changed);
    const now =
      peer === undefined ? 'is no member any more' : `is a ${peer.role}, at ${peer.address ?? NONE}`;
    const named = (role: string): string =>
      view.peers
        .filter((one) => one.role === role)
        .map(({ id }) => id)
        .join(', ');
    const learners = named('learner');
    terminal.line(
      `${changed} ${now}; voters: ${named('voter')}${learners === '' ? '' : `; learners: ${learners}`}`,
    );
  });
  return 0;
}

async function handOver(context: Context, command: Command): Promise<number> {
  const clb = await context.clb();
  const lead = await clb.transferLeadership(command.args[0] ?? '');
  context.terminal.object(lead, lead.leader, () =>
    context.terminal.line(`${lead.leader} leads, term ${lead.term}`),
  );
  return 0;
}

async function watchStatus(context: Context): Promise<number> {
  const clb = await context.clb();
  let leader: RaftView | null = null;
  await watch<ServerRaft>(context, {
    read: async ({ signal }) => {
      const servers = await clb.raftAll(signal === undefined ? {} : { signal });
      leader = leaderOf(servers);
      return servers;
    },
    columns: () => statusColumns(context, leader),
    id: ({ server }) => server,
    plain: plainServer,
    // Indexes grow with every task: in a pipe only what says who does what is news.
    stamp: (server) =>
      JSON.stringify(
        server.kind === 'ok' ? [server.raft.role, server.raft.term, server.raft.leader] : server.error.code,
      ),
    concerns: (event) => event.kind === 'leader',
  });
  return 0;
}

async function showStatus(context: Context): Promise<number> {
  const clb = await context.clb();
  const servers = await clb.raftAll();
  const leader = leaderOf(servers);
  const { terminal } = context;
  const columns = statusColumns(context, leader);
  const value = {
    leader: leader?.id ?? null,
    leaderSince: leader?.leaderSince ?? null,
    term: leader?.term ?? null,
    servers: servers.map(plainServer),
  };
  if (terminal.quiet) for (const server of servers) terminal.line(nameOf(server));
  else if (terminal.format === 'json') terminal.json(value);
  else terminal.list(terminal.format === 'jsonl' ? [] : servers, columns, nameOf);
  if (terminal.format === 'jsonl' && !terminal.quiet) {
    for (const server of value.servers) terminal.line(JSON.stringify(server));
  }
  if (leader === null) {
    terminal.warn('there is no master');
    return EXIT.noMaster;
  }
  if (terminal.format === 'table' && !terminal.quiet) terminal.line(`\n${leadsSince(leader)}`);
  return 0;
}

function leadsSince(leader: RaftView): string {
  const since = leader.leaderSince;
  const when = since === null ? '' : ` since ${since} (${age(since, Date.now())})`;
  const { voters, learners } = leader;
  const without = learners.length === 0 ? '' : `; learners, without a vote: ${learners.join(', ')}`;
  return `${leader.id} leads${when}, term ${leader.term}, ${voters.length} voters: ${voters.join(', ')}${without}`;
}

/** Of those that say they lead, the one of the highest term: an isolated one may not know yet. */
function leaderOf(servers: readonly ServerRaft[]): RaftView | null {
  return servers.reduce<RaftView | null>((best, server) => {
    if (server.kind === 'error' || server.raft.role !== 'leader') return best;
    return best === null || server.raft.term > best.term ? server.raft : best;
  }, null);
}

function plainServer(server: ServerRaft): object {
  if (server.kind === 'ok') return { address: server.server, ...server.raft };
  return {
    address: server.server,
    id: server.id,
    error: { code: server.error.code, message: server.error.message },
  };
}

function nameOf(server: ServerRaft): string {
  return server.kind === 'ok' ? server.raft.id : (server.id ?? server.server);
}

function statusColumns(context: Context, leader: RaftView | null): readonly Column<ServerRaft>[] {
  const number = (header: string, value: (raft: RaftView) => number | null): Column<ServerRaft> => ({
    header,
    value: (server) => (server.kind === 'ok' ? (value(server.raft)?.toString() ?? NONE) : NONE),
    align: 'right',
  });
  return [
    { header: 'SERVER', value: nameOf },
    { header: 'ADDRESS', value: ({ server }) => server },
    {
      header: 'ROLE',
      value: roleOf,
      paint: (cell, server) => context.terminal.paint(cell, roleColor(server)),
    },
    number('TERM', (raft) => raft.term),
    number('LAST', (raft) => raft.lastIndex),
    number('COMMIT', (raft) => raft.commitIndex),
    number('APPLIED', (raft) => raft.appliedIndex),
    number('LAG', (raft) => lagOf(raft, leader)),
  ];
}

function roleOf(server: ServerRaft): string {
  if (server.kind === 'ok') return server.raft.role;
  if (server.error.code === 'STOPPED') return 'stopped';
  return server.error.code === 'UNAVAILABLE' ? `unreachable: ${server.error.message}` : server.error.message;
}

function roleColor(server: ServerRaft): Color | null {
  if (server.kind === 'error') return 'red';
  return server.raft.role === 'leader' ? 'green' : null;
}

/** Entries it lacks of those the master has, as the master sees it. */
function lagOf(raft: RaftView, leader: RaftView | null): number | null {
  if (leader === null) return null;
  return leader.peers[raft.id]?.lag ?? Math.max(0, leader.lastIndex - raft.lastIndex);
}

interface LogFlags {
  readonly from?: number;
  readonly to?: number;
}

const LOG_ENTRIES_DEFAULT = 20;

async function showLog(context: Context, command: Command): Promise<number> {
  const flags = command.opts<LogFlags>();
  if (flags.from !== undefined && flags.to !== undefined && flags.to < flags.from) {
    throw usageError('--to is below --from');
  }
  const { terminal } = context;
  const clb = await context.clb();
  const raft = await clb.raft();
  const to = Math.min(flags.to ?? raft.lastIndex, raft.lastIndex);
  const wanted = flags.from ?? Math.max(0, to - LOG_ENTRIES_DEFAULT + 1);
  const from = Math.max(wanted, raft.firstIndex);
  if (flags.from !== undefined && from > wanted && from <= to) {
    terminal.note(`clb: entries before ${from} are in the snapshot, no longer in the log of ${raft.id}`);
  }
  const entries: RaftLogEntryView[] = [];
  // The server gives so many at a time.
  while (from + entries.length <= to) {
    const next = from + entries.length;
    const part = await clb.raftLog({
      from: next,
      to: Math.min(to, next + LIMITS.raftLogEntriesPerCallMax - 1),
    });
    if (part.length === 0) break;
    entries.push(...part);
  }
  terminal.list(entries, LOG_COLUMNS, (entry) => String(entry.index));
  return 0;
}

const DATA_CHARS_MAX = 160;

const LOG_COLUMNS: readonly Column<RaftLogEntryView>[] = [
  { header: 'INDEX', value: (entry) => String(entry.index), align: 'right' },
  { header: 'TERM', value: (entry) => String(entry.term), align: 'right' },
  { header: 'KIND', value: (entry) => entry.kind },
  { header: 'TIME', value: (entry) => entry.time ?? NONE },
  { header: 'DATA', value: (entry) => dataText(entry.data) },
];

function dataText(data: unknown): string {
  if (data === null || data === undefined) return NONE;
  const text = printable(JSON.stringify(data));
  return text.length > DATA_CHARS_MAX ? `${text.slice(0, DATA_CHARS_MAX - 1)}…` : text;
}
