import type { Command } from 'commander';
import { CHECKS } from '../../verify/checks.ts';
import type { CheckName, Violation } from '../../verify/checks.ts';
import { verify } from '../../verify/verify.ts';
import type { AuditSource, AuditedServer, VerifyReport } from '../../verify/verify.ts';
import { onRun, type Context } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { collectPaths } from '../flags.ts';
import type { LoadNodeRuntime } from '../node-runtime.ts';

export function addVerify(program: Command, load: LoadNodeRuntime): void {
  const command = program
    .command('verify')
    .summary('check that nothing was lost, doubled or changed')
    .description(
      'Read the log and the tasks of every server that can be reached, from their disks, and check the promises: each log against ' +
        'itself, the tasks against the log, the servers against each other. Prints what was checked; with a counter-example ' +
        'exits with 1. With --data reads the data folders of stopped servers (or copies of them) instead.',
    )
    .option(
      '--data <dir…>',
      'data folders of stopped servers, separated by commas; may be repeated',
      collectPaths,
    )
    .addHelpText(
      'after',
      `
Examples:
  clb verify
  clb verify -o json | jq .violations
  clb verify --data backup/server1,backup/server2,backup/server3`,
    );
  onRun(command, async (context) => {
    const { data } = command.opts<{ readonly data?: readonly string[] }>();
    const sources = data === undefined ? await serverSources(context) : await folderSources(load, data);
    return report(context, await verify(sources, (server) => noteServer(context, server)));
  });
}

async function serverSources(context: Context): Promise<readonly AuditSource[]> {
  const clb = await context.clb();
  return clb.servers.map((server) => ({ name: server, lines: () => clb.audit(server) }));
}

async function folderSources(
  load: LoadNodeRuntime,
  folders: readonly string[],
): Promise<readonly AuditSource[]> {
  const { auditFolders } = await load();
  return auditFolders(folders);
}

function noteServer({ terminal }: Context, server: AuditedServer): void {
  const log =
    server.lastIndex === 0
      ? 'no log'
      : `log ${server.firstIndex} to ${server.lastIndex}, term ${server.head.term}`;
  terminal.note(`${server.name}: ${log}, ${server.tasks} tasks, ${server.openTasks} of them not final`);
}

const NAMES = Object.keys(CHECKS) as readonly CheckName[];

function report(context: Context, { servers, unreachable, findings, violations }: VerifyReport): number {
  const { terminal } = context;
  const rows = NAMES.map((name) => ({
    name,
    what: CHECKS[name],
    checked: findings.checkedOf(name),
    violations: findings.foundOf(name),
  }));
  const ok = violations.length === 0 && servers.length > 0;
  const value = {
    ok,
    servers: servers.map(({ name, head, firstIndex, lastIndex, tasks, openTasks }) => ({
      ...{ name, term: head.term, firstIndex, lastIndex, appliedIndex: head.appliedIndex, tasks, openTasks },
    })),
    unreachable: unreachable.map(({ name, error }) => ({ name, error: messageOf(error) })),
    checks: rows,
    violations,
  };
  for (const { name, error } of unreachable) terminal.warn(`${name} was not read: ${messageOf(error)}`);
  terminal.object(value, ok ? 'ok' : 'violated', () => {
    terminal.list(
      rows,
      [
        { header: 'CHECK', value: (row) => row.name },
        { header: 'CHECKED', value: (row) => String(row.checked), align: 'right' },
        {
          header: 'RESULT',
          value: (row) => resultOf(row),
          paint: (cell, row) =>
            terminal.paint(cell, row.violations > 0 ? 'red' : row.checked > 0 ? 'green' : 'dim'),
        },
        { header: 'WHAT', value: (row) => row.what },
      ],
      (row) => row.name,
    );
    for (const violation of violations) terminal.line(terminal.paint(violationText(violation), 'red'));
    if (servers.length > 0) terminal.line(summaryOf(servers.length, unreachable.length, violations.length));
  });
  if (servers.length === 0) {
    terminal.warn('no server could be read');
    return EXIT.noMaster;
  }
  return ok ? 0 : EXIT.error;
}

function resultOf(row: { readonly checked: number; readonly violations: number }): string {
  if (row.violations > 0) return `${row.violations} violated`;
  return row.checked > 0 ? 'holds' : 'nothing to check';
}

function violationText({ check, server, task, index, message }: Violation): string {
  const where = [
    server ?? 'cluster',
    task === null ? null : `task ${task}`,
    index === null ? null : `entry ${index}`,
  ];
  return `violated (${check}): ${where.filter((part) => part !== null).join(', ')}: ${message}`;
}

function summaryOf(read: number, missing: number, violations: number): string {
  const servers = `${read} of ${read + missing} servers read`;
  return violations === 0 ? `${servers}: all that was checked holds` : `${servers}: NOT everything holds`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
