/** Goal: the first view stays small. Counts what index.html names, compressed, of the built page; says so where it is not built. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { it } from 'node:test';
import { gzipSync } from 'node:zlib';

const UI = resolve(import.meta.dirname, '../../dist/web/ui');
const FIRST_VIEW_BYTES_MAX = 200 * 1024;
const built = existsSync(resolve(UI, 'index.html'));
if (!built) console.error('SKIPPED: the page is not built (npm run build:ui)');

it('the first view has less than 200 kB, compressed', { skip: built ? false : 'not built' }, () => {
  const html = readFileSync(resolve(UI, 'index.html'), 'utf8');
  const files = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(files.some((path) => path.endsWith('.js')) && files.some((path) => path.endsWith('.css')), html);
  const bytes = [html, ...files.map((path) => readFileSync(resolve(UI, `.${path}`)))].map(
    (content) => gzipSync(content).byteLength,
  );
  const sum = bytes.reduce((total, each) => total + each, 0);
  assert.ok(sum < FIRST_VIEW_BYTES_MAX, `${sum} bytes`);
  assert.ok(
    !/https?:\/\//.test(html.replaceAll(/http:\/\/www\.w3\.org\S*/g, '')),
    'loads nothing from elsewhere',
  );
});
