/** Audit lines of a state machine that has applied a log, as its server would show them. */
import type { AuditLine, AuditTask } from '../../src/api/audit.ts';
import type { Entry, LogIndex, Term } from '../../src/raft/core/types.ts';
import type { StoredStretch } from '../../src/raft/storage/log-packs.ts';
import { auditLines } from '../../src/scheduler/audit.ts';
import { verify } from '../../src/verify/verify.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';
import type { MachineDriver } from '../scheduler/machine-driver.ts';

export async function audited(driver: MachineDriver, node = 'server1'): Promise<AuditLine[]> {
  const lines: AuditLine[] = [];
  const inputs = {
    server: { node, role: 'follower', term: driver.term, leader: 'server1', commitIndex: driver.index },
    state: driver.machine.state,
    log: () => stored(driver),
    pause: () => Promise.resolve(),
  } as const;
  for await (const line of auditLines(inputs)) lines.push(line);
  return lines;
}

/** One entry at a time, under a chain that counts. */
async function* stored(driver: MachineDriver): AsyncIterable<StoredStretch> {
  await Promise.resolve();
  for (const { index, term, payload } of driver.log) {
    const place = { index: index as LogIndex, term: term as Term };
    const entry: Entry =
      payload === null ? { ...place, kind: 'noop' } : { ...place, kind: 'command', payload };
    yield { chainBefore: index, chainAfter: index + 1, entries: [entry] };
  }
}

/** Verifies servers given by their lines. */
export function verified(...servers: readonly (readonly AuditLine[])[]): Promise<VerifyReport> {
  return verify(
    servers.map((lines, at) => ({
      name: `source${at + 1}`,
      async *lines() {
        yield* await Promise.resolve(lines);
      },
    })),
  );
}

/** The lines with one task's record changed. */
export function withTask(
  lines: readonly AuditLine[],
  id: string,
  change: (task: AuditTask) => AuditTask,
): AuditLine[] {
  return lines.map((line) => (line.kind === 'task' && line.id === id ? change(line) : line));
}
