/** Control groups that limit what runs in them to a share of the processor. Linux, root. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PERIOD_US = 100_000;
const ROOT = '/sys/fs/cgroup';

export interface CpuShare {
  /** Words that start the program after them inside the group. */
  readonly prefix: readonly string[];
  readonly remove: () => void;
}

/** @param cores part of one core, above 0. @throws if the kernel or the user may not do that */
export function cpuShare(name: string, cores: number): CpuShare {
  const quota = Math.round(cores * PERIOD_US);
  const isUnified = existsSync(join(ROOT, 'cgroup.subtree_control'));
  const folder = join(ROOT, isUnified ? '' : 'cpu', name);
  mkdirSync(folder, { recursive: true });
  if (isUnified) {
    writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpu');
    writeFileSync(join(folder, 'cpu.max'), `${String(quota)} ${String(PERIOD_US)}`);
  } else {
    writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US));
    writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota));
  }
  const enter = `echo $$ > '${join(folder, 'cgroup.procs')}' && exec "$@"`;
  return { prefix: ['sh', '-c', enter, 'sh'], remove: () => rmdirSync(folder) };
}
