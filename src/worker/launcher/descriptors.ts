import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** O_CLOEXEC of Linux. Everything that Node opens by itself has it. */
const CLOSE_ON_EXEC = 0o2000000;
const STANDARD_MAX = 2;

/**
 * Closes what this process was started with beyond stdin, stdout and stderr. Such a descriptor would be handed on to every
 * payload. To be called before anything else is opened; does nothing where there is no /proc.
 */
export function closeInheritedDescriptors(): void {
  for (const name of descriptors()) {
    const fd = Number(name);
    if (fd <= STANDARD_MAX) continue;
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
      if (flags !== undefined && (parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) closeSync(fd);
    } catch {
      // The one by which the list was read.
    }
  }
}

function descriptors(): readonly string[] {
  try {
    return readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
}
