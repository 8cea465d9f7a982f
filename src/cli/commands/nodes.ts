import type { Command } from 'commander';
import { LIMITS } from '../../api/limits.ts';
import type { NodeStatus, NodeView } from '../../api/views.ts';
import { onRun, readOrStale, type Context } from '../context.ts';
import { usageError } from '../exit-code.ts';
import { durationWithin } from '../flags.ts';
import { age, duration, pairs, percent } from '../format.ts';
import type { Column } from '../table.ts';
import type { Color } from '../terminal.ts';
import { watch } from '../watch.ts';

const STATUS_COLOR: Readonly<Record<NodeStatus, Color>> = {
  ready: 'green',
  draining: 'yellow',
  disconnected: 'red',
  down: 'red',
};

export function addNodes(program: Command): void {
  const nodes = program
    .command('nodes')
    .summary('list the nodes and their load')
    .description('List the nodes that can run tasks, with their load.')
    .option('--watch', 'keep the list up to date (in a pipe: print what changes)')
    .addHelpText(
      'after',
      `
Examples:
  clb nodes --watch
  clb nodes -o json | jq -r '.[] | select(.leader) | .id'`,
    );
  onRun(nodes, async (context, command) => {
    const clb = await context.clb();
    if (command.opts<{ watch?: true }>().watch === true) {
      await watch<NodeView>(context, {
        read: (options) => clb.nodes(options),
        columns: () => nodeColumns(context),
        id: (node) => node.id,
        stamp: ({ status, eligible, running, leader }) => JSON.stringify([status, eligible, running, leader]),
        concerns: () => true,
      });
      return 0;
    }
    const list = await readOrStale(context, (options) => clb.nodes(options));
    context.terminal.list(list, nodeColumns(context), (node) => node.id);
    return 0;
  });
}

function nodeColumns(context: Context): readonly Column<NodeView>[] {
  const nowMs = Date.now();
  return [
    { header: 'NAME', value: (node) => node.id },
    { header: 'ROLE', value: (node) => (node.leader ? `${node.role}, master` : node.role) },
    {
      header: 'STATUS',
      value: (node) => node.status,
      paint: (cell, node) => context.terminal.paint(cell, STATUS_COLOR[node.status]),
    },
    { header: 'ELIGIBLE', value: (node) => (node.eligible ? 'yes' : 'no') },
    { header: 'CPU', value: (node) => percent(node.cpu), align: 'right' },
    { header: 'MEM', value: (node) => percent(node.memory), align: 'right' },
    { header: 'RUNNING', value: (node) => `${node.running}/${node.slots}`, align: 'right' },
    { header: 'LAST-SEEN', value: (node) => age(node.lastSeenAt, nowMs), align: 'right' },
    { header: 'ADDRESS', value: (node) => node.address },
    { header: 'LABELS', value: (node) => pairs(node.labels) },
  ];
}

interface DrainFlags {
  readonly deadline?: number;
  readonly off?: true;
}

export function addDrain(program: Command): void {
  const drain = program
    .command('drain')
    .summary('give a node no further tasks')
    .description('Give a node no further tasks; those that run there finish.')
    .argument('<node>', 'its name, as in `clb nodes`')
    .option(
      '--deadline <duration>',
      'give what still runs after so long to other nodes',
      durationWithin(0, LIMITS.timeoutMsMax),
    )
    .option('--off', 'give it tasks again')
    .addHelpText(
      'after',
      `
Examples:
  clb drain worker1 --deadline 10m
  clb drain worker1 --off`,
    );
  onRun(drain, async (context, command) => {
    const flags = command.opts<DrainFlags>();
    const [node = ''] = command.args;
    if (flags.off === true && flags.deadline !== undefined)
      throw usageError('--deadline does not go with --off');
    const clb = await context.clb();
    await clb.drain(node, {
      drain: flags.off !== true,
      ...(flags.deadline === undefined ? {} : { deadlineMs: flags.deadline }),
    });
    context.terminal.object(
      { node, drain: flags.off !== true, deadlineMs: flags.deadline ?? null },
      node,
      () => {
        const until =
          flags.deadline === undefined ? '' : `; what runs after ${duration(flags.deadline)} goes elsewhere`;
        context.terminal.line(
          flags.off === true ? `${node} gets tasks again` : `${node} gets no further tasks${until}`,
        );
      },
    );
    return 0;
  });
}

export function addStop(program: Command): void {
  const stop = program
    .command('stop')
    .summary('simulate the crash of a node')
    .description(
      'Simulate the crash of a node: it falls silent, its tasks are killed, nothing is handed over. Only where fault ' +
        'injection is on (`clb up`, --fault-injection).',
    )
    .argument('<node>', 'its name, as in `clb nodes`')
    .addHelpText('after', '\nExample:\n  clb stop server1 && clb raft');
  onRun(stop, (context, command) => setStopped(context, command.args[0] ?? '', true));
}

export function addStart(program: Command): void {
  const start = program
    .command('start')
    .summary('bring a node back that was stopped with `clb stop`')
    .description(
      'Bring a node back that was stopped with `clb stop`: it recovers from its disk, as after a restart.',
    )
    .argument('<node>', 'its name, as in `clb nodes`')
    .addHelpText('after', '\nExample:\n  clb start server1 && clb raft');
  onRun(start, (context, command) => setStopped(context, command.args[0] ?? '', false));
}

async function setStopped(context: Context, node: string, stopped: boolean): Promise<number> {
  const clb = await context.clb();
  await clb.stopNode(node, stopped);
  context.terminal.object({ node, stopped }, node, () =>
    context.terminal.line(
      stopped ? `${node} is stopped; bring it back with: clb start ${node}` : `${node} runs again`,
    ),
  );
  return 0;
}
