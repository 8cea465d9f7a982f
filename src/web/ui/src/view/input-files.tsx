import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { LIMITS } from '../../../../api/limits.ts';
import type { TaskFile } from '../../../../api/task-files.ts';
import { byteSize } from '../model/format.ts';
import { useApp } from './context.ts';

const BASE64_CHUNK_BYTES = 32_768;

function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += BASE64_CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + BASE64_CHUNK_BYTES));
  }
  return btoa(binary);
}

/** Files of this machine that go along. They are read when they are chosen. */
export function InputFiles({ files }: { readonly files: readonly TaskFile[] }): VNode {
  const { actions } = useApp();
  const [problem, setProblem] = useState<string | null>(null);
  const read = async (chosen: readonly File[]): Promise<void> => {
    setProblem(null);
    const bytes = chosen.reduce((sum, { size }) => sum + size, 0);
    if (bytes > LIMITS.taskBytesMax || chosen.length > LIMITS.filesMax) {
      const limit = `${byteSize(LIMITS.taskBytesMax)} and ${LIMITS.filesMax} files are the limit`;
      setProblem(`${byteSize(bytes)} in ${chosen.length} files: ${limit}.`);
      return;
    }
    const loaded = await Promise.all(
      chosen.map(async (file): Promise<TaskFile> => {
        return { path: file.name, contentBase64: base64Of(new Uint8Array(await file.arrayBuffer())) };
      }),
    );
    actions.setFiles(loaded);
  };
  return (
    <div class="field field-files">
      <label class="field-label" for="task-files-input">
        Files to send along
      </label>
      <input
        id="task-files-input"
        type="file"
        multiple
        data-testid="files-input"
        onChange={(event) => {
          read([...(event.currentTarget.files ?? [])]).catch(() => setProblem('They cannot be read.'));
        }}
      />
      <span class="hint" role="status" data-testid="files-chosen">
        {problem ?? (files.length === 0 ? '' : files.map(({ path }) => path).join(', '))}
        {problem === null && files.length > 0 ? (
          <>
            {' '}
            <button type="button" class="link-button" onClick={() => actions.setFiles([])}>
              none of them
            </button>
          </>
        ) : null}
      </span>
    </div>
  );
}
