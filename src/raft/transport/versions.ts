/**
 * The version of the protocol between servers: of the frames, and of what stands in the log's entries. A server speaks a range of
 * them; two servers use the newest that both speak, or refuse each other. docs/operations.md, "Upgrading", has the rules.
 */
import type { IncomingHttpHeaders } from 'node:http';

export interface VersionRange {
  readonly oldest: number;
  readonly newest: number;
}

/**
 * What this program speaks. `newest` is raised with every change that an older program would misread; `oldest` follows a
 * release later. 1: as released first. 2: says its range when it dials; the log may say from where on a version counts.
 */
export const PROTOCOL_VERSIONS: VersionRange = { oldest: 1, newest: 2 };

/** The oldest version the dialer speaks. Version 1 knows only this header, and accepts exactly 1. */
const HEADER_VERSION = 'x-clb-version';
/** The newest one; absent in version 1. */
const HEADER_VERSION_NEWEST = 'x-clb-version-newest';

export function versionHeaders({ oldest, newest }: VersionRange): Readonly<Record<string, string>> {
  return {
    [HEADER_VERSION]: String(oldest),
    ...(newest === 1 ? {} : { [HEADER_VERSION_NEWEST]: String(newest) }),
  };
}

/** What the dialer speaks; null if it does not say so properly. */
export function versionsOf(headers: IncomingHttpHeaders): VersionRange | null {
  const oldest = Number(headers[HEADER_VERSION] ?? NaN);
  const newest = Number(headers[HEADER_VERSION_NEWEST] ?? oldest);
  const isRange = Number.isSafeInteger(oldest) && Number.isSafeInteger(newest);
  return isRange && oldest >= 1 && oldest <= newest ? { oldest, newest } : null;
}

/** The newest version that both speak; null if there is none. */
export function commonVersion(one: VersionRange, other: VersionRange): number | null {
  const newest = Math.min(one.newest, other.newest);
  return newest >= Math.max(one.oldest, other.oldest) ? newest : null;
}

/** "version 1" or "versions 1 to 2", for messages. */
export function describeVersions({ oldest, newest }: VersionRange): string {
  return oldest === newest ? `version ${oldest}` : `versions ${oldest} to ${newest}`;
}
