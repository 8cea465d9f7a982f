/**
 * Where the launcher keeps things, inside the node's data folder:
 *
 *   launcher/socket                          (elsewhere if the path is too long)
 *   launcher/launcher.log                    its own stderr
 *   launcher/fifo/<n>                        pipes that payloads write to
 *   launcher/attempts/<task>.<token>.<number>/   running, or ended and not yet acknowledged
 *       scratch/                             the payload's folder, removed at its end
 *       script, stdin                        what it was given
 *       stdout, stderr                       its output, each up to LIMITS.nodeStreamBytesMax
 *       files/                               collected files that are too large for the result
 *       result.json                          how it ended
 *   launcher/kept/<task>.<token>.<number>/   output and files of acknowledged attempts, the newest ones
 *   launcher/spare/                          empty folders of attempts, to be used again
 *   launcher/trash/                          scratch folders being deleted
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { AttemptRef } from '../../link/protocol.ts';

/** sockaddr_un holds 107 bytes and a NUL on Linux, 103 on macOS. */
export const SOCKET_PATH_BYTES_MAX = 103;

export interface LauncherLayout {
  readonly root: string;
  readonly socket: string;
  readonly log: string;
  readonly fifo: string;
  readonly attempts: string;
  readonly kept: string;
  readonly spare: string;
  readonly trash: string;
}

/** The places for a data folder. Does no IO. */
export function launcherLayout(dataDir: string): LauncherLayout {
  const root = join(resolve(dataDir), 'launcher');
  return {
    root,
    socket: socketPath(root),
    log: join(root, 'launcher.log'),
    fifo: join(root, 'fifo'),
    attempts: join(root, 'attempts'),
    kept: join(root, 'kept'),
    spare: join(root, 'spare'),
    trash: join(root, 'trash'),
  };
}

function socketPath(root: string): string {
  const inside = join(root, 'socket');
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16);
  return join(tmpdir(), `clb-${userId()}`, name);
}

/**
 * Makes the folders. They are for their owner alone, because whoever reaches the socket can run commands.
 * @throws Error if the socket's folder in the shared temporary folder belongs to somebody else.
 */
export function makeLayout(layout: LauncherLayout): void {
  const { root, fifo, attempts, kept, spare, trash } = layout;
  for (const folder of [root, fifo, attempts, kept, spare, trash]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  const socketFolder = join(layout.socket, '..');
  mkdirSync(socketFolder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(socketFolder);
  const ownedByOthers = stat.uid !== userId() && userId() !== -1;
  const openToOthers = socketFolder !== layout.root && (stat.mode & 0o077) !== 0;
  if (!stat.isDirectory() || ownedByOthers || openToOthers) {
    throw new Error(`${socketFolder} must be a folder of the user that runs the node, with mode 0700`);
  }
}

/** -1 where there are no user ids. */
function userId(): number {
  return process.getuid?.() ?? -1;
}

/** Name of an attempt's folder. Task ids have no dot (checked by the link), so it can be read back. */
export function attemptFolderName(ref: AttemptRef, number: number): string {
  return `${ref.task}.${ref.token}.${number}`;
}

export function parseAttemptFolderName(name: string): (AttemptRef & { readonly number: number }) | null {
  const match = /^([A-Za-z0-9_-]+)\.(\d+)\.(\d+)$/.exec(name);
  if (match === null) return null;
  const [, task = '', token = '', number = ''] = match;
  return { task, token: Number(token), number: Number(number) };
}
