/** Files that go with a task (`files`), and those that are kept of it (`collect`): shapes, rules for their names. */
import { z } from 'zod';
import { LIMITS } from './limits.ts';

/** In the scratch folder this is where TMPDIR is. */
const RESERVED_NAME = '.tmp';
const SEGMENT_BYTES_MAX = 255;
const encoder = new TextEncoder();

/** What is wrong with a path inside the scratch folder; null: nothing. */
export function filePathProblem(path: string): string | null {
  if (path.includes('\0')) return 'must not contain a NUL character';
  if (path.startsWith('/')) return 'must be relative to the scratch folder, not absolute';
  const segments = path.split('/');
  if (segments.includes('..')) return 'must not contain ".."';
  if (segments.some((segment) => segment === '' || segment === '.')) {
    return 'must not contain empty parts or "."';
  }
  if (segments[0] === RESERVED_NAME)
    return `must not begin with ${RESERVED_NAME}, which is the task's TMPDIR`;
  if (segments.some((segment) => encoder.encode(segment).byteLength > SEGMENT_BYTES_MAX)) {
    return `must not contain a name of more than ${SEGMENT_BYTES_MAX} bytes`;
  }
  return null;
}

/** What is wrong with a pattern of `collect`; null: nothing. */
export function collectPatternProblem(pattern: string): string | null {
  if (pattern.includes('\0')) return 'must not contain a NUL character';
  if (pattern.startsWith('/')) return 'must be relative to the scratch folder, not absolute';
  if (pattern.split('/').includes('..')) return 'must not contain ".."';
  return null;
}

/** For the API's own description: what {@link filePathProblem} says, but for the length of one name. */
const FILE_PATH = '^(?!\\.tmp(?:/|$))(?!\\.{1,2}(?:/|$))[^/\\u0000]+(?:/(?!\\.{1,2}(?:/|$))[^/\\u0000]+)*$';
const COLLECT_PATTERN = '^(?!/)(?!(?:[^\\u0000]*/)?\\.\\.(?:/|$))[^\\u0000]+$';
const BASE64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$';

export const taskFileSchema = z.strictObject({
  /** In the scratch folder; folders on the way are made. */
  path: z
    .string()
    .min(1)
    .max(LIMITS.filePathCharsMax)
    .superRefine((path, context) => {
      const message = filePathProblem(path);
      if (message !== null) context.addIssue({ code: 'custom', message });
    })
    .meta({ pattern: FILE_PATH }),
  contentBase64: z
    .string()
    .refine((text) => new RegExp(BASE64).test(text), 'must be base64 (with + and /, padded)')
    .meta({ pattern: BASE64 }),
});

export type TaskFile = z.infer<typeof taskFileSchema>;

export const taskFilesSchema = z
  .array(taskFileSchema)
  .max(LIMITS.filesMax)
  .superRefine((files, context) => {
    const clash = clashOf(files);
    if (clash !== null) context.addIssue({ code: 'custom', path: [clash.at, 'path'], message: clash.why });
  });

export const collectSchema = z
  .array(
    z
      .string()
      .min(1)
      .max(LIMITS.collectPatternCharsMax)
      .superRefine((pattern, context) => {
        const message = collectPatternProblem(pattern);
        if (message !== null) context.addIssue({ code: 'custom', message });
      })
      .meta({ pattern: COLLECT_PATTERN }),
  )
  .max(LIMITS.collectPatternsMax);

/** The first file that can't be beside the others: a name twice, or a file where another needs a folder. */
function clashOf(files: readonly TaskFile[]): { readonly at: number; readonly why: string } | null {
  const names = new Set<string>();
  const folders = new Set<string>();
  for (const [at, { path }] of files.entries()) {
    if (names.has(path)) return { at, why: `${path} is there twice` };
    if (folders.has(path)) return { at, why: `${path} is a folder of another file` };
    names.add(path);
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end);
      if (names.has(folder)) return { at, why: `${folder} is a file` };
      folders.add(folder);
    }
  }
  return null;
}

/** One file kept of a finished task. */
export interface CollectedFile {
  /** In the scratch folder of the attempt. */
  readonly path: string;
  readonly bytes: number;
  /** cluster: replicated with the result. node: on the node that ran the task, for as long as it is kept there. */
  readonly kept: 'cluster' | 'node';
}

/** What `collect` brought; part of the result. */
export interface CollectedFiles {
  /** By path. */
  readonly files: readonly CollectedFile[];
  /** A sentence: what was found and not kept, and because of which limit. null: all was kept. */
  readonly leftOut: string | null;
}

/** Content (base64) by path, of the files that are replicated. */
export type FileContents = Readonly<Record<string, string>>;

/** Answer of GET /v1/tasks/:id/files. */
export interface TaskFilesView extends CollectedFiles {
  readonly task: string;
  /** The attempt they are of; null while there is no result. */
  readonly attempt: number | null;
  /** Node that ran it. */
  readonly node: string | null;
}

/** A file on its way to a reader. */
export interface FileBytes {
  readonly path: string;
  readonly bytes: number;
  /** Exactly `bytes` bytes, or it throws. */
  readonly chunks: AsyncIterable<Uint8Array>;
}
