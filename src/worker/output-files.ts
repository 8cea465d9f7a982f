/** Reads the output that the launcher writes to files (launcher/layout.ts), while it grows and after the end. */
import { existsSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptRef } from '../link/protocol.ts';
import { filePathProblem } from '../api/task-files.ts';
import type { FileRequest, OutputChunk, OutputRequest } from './executor.ts';
import { OutputGoneError } from './executor.ts';
import { KEPT_FILES } from './launcher/attempt-store.ts';
import type { LauncherLayout } from './launcher/layout.ts';
import { monotonicMs } from './monotonic.ts';

export const OUTPUT_FILES = {
  /** How often a file is looked at while somebody waits for more. */
  lookAgainMs: 100,
} as const;

/** What is known of an attempt's state here. */
export type OutputState = 'live' | 'ended' | 'unknown';

/**
 * @param stateOf asked anew before each look.
 * @throws OutputGoneError
 */
export async function readOutputFile(
  layout: LauncherLayout,
  ref: AttemptRef,
  request: OutputRequest,
  stateOf: () => OutputState,
): Promise<OutputChunk> {
  const deadlineMs = monotonicMs() + request.waitMs;
  for (;;) {
    const state = stateOf(); // before the file: what was written until the end is there once the end is known
    const found = await findFolder(layout, ref);
    if (state === 'unknown' && found === null) {
      throw new OutputGoneError('the output of that attempt is not kept on its node any more');
    }
    const over = state !== 'live';
    const read = found === null ? NOTHING : await readAt(join(found, request.stream), request);
    if (read === NOTHING && found !== null && !existsSync(found)) continue; // it was moved just now
    const nextOffset = request.offset + read.data.byteLength;
    if (over || read.data.byteLength > 0 || monotonicMs() >= deadlineMs) {
      return { data: read.data, nextOffset, end: over && nextOffset >= read.sizeBytes };
    }
    await new Promise((resolve) => setTimeout(resolve, OUTPUT_FILES.lookAgainMs));
  }
}

/** A collected file that is kept here. @throws OutputGoneError */
export async function readKeptFile(
  layout: LauncherLayout,
  ref: AttemptRef,
  request: FileRequest,
): Promise<OutputChunk> {
  const folder = filePathProblem(request.path) === null ? await findFolder(layout, ref) : null;
  const read = folder === null ? NOTHING : await readAt(join(folder, KEPT_FILES, request.path), request);
  if (read === NOTHING) {
    // It may have been moved to the kept ones, after the folder was found.
    if (folder !== null && !existsSync(folder)) return readKeptFile(layout, ref, request);
    throw new OutputGoneError('that file is not kept on its node any more');
  }
  const { data, sizeBytes } = read;
  const nextOffset = request.offset + data.byteLength;
  return { data, nextOffset, end: nextOffset >= sizeBytes };
}

const NOTHING = { data: new Uint8Array(0), sizeBytes: 0 } as const;

/** The attempt's number is part of the folder's name, but not of the question. */
async function findFolder(layout: LauncherLayout, ref: AttemptRef): Promise<string | null> {
  const prefix = `${ref.task}.${ref.token}.`;
  // In this order: a folder moves from the first to the second, never back.
  for (const place of [layout.attempts, layout.kept]) {
    const name = (await readdir(place).catch(() => [])).find((entry) => entry.startsWith(prefix));
    if (name !== undefined) return join(place, name);
  }
  return null;
}

/** Nothing was written yet if the file is not there. */
async function readAt(
  path: string,
  request: { readonly offset: number; readonly maxBytes: number },
): Promise<{ readonly data: Uint8Array; readonly sizeBytes: number }> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING;
    throw error;
  }
  try {
    const { size: sizeBytes } = await file.stat();
    const wantedBytes = Math.max(0, Math.min(request.maxBytes, sizeBytes - request.offset));
    const buffer = Buffer.allocUnsafe(wantedBytes);
    const { bytesRead } = await file.read(buffer, 0, wantedBytes, request.offset);
    return { data: buffer.subarray(0, bytesRead), sizeBytes };
  } finally {
    await file.close();
  }
}
