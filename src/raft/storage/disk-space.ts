import { statfs } from 'node:fs/promises';

/** Bytes that this user can still write in the file system of `folder`. */
export async function diskFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
