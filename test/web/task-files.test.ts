/** Files sent along with a task, and files kept of it, over HTTP. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { LIMITS } from '../../src/api/limits.ts';
import { ask, closeAll, startServer } from './nodes.ts';

after(closeAll);

const B64 = Buffer.from('hello').toString('base64');

async function submit(fields: object) {
  const { address, cluster } = await startServer();
  const answer = await ask(address, '/v1/tasks', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ command: ['true'], ...fields }),
  });
  return { ...answer, submitted: cluster.submitted[0]?.request };
}

const file = (path: string, contentBase64 = B64) => ({ path, contentBase64 });

describe('files of a submitted task', () => {
  it('are taken in as they are', async () => {
    const files = [file('a/b.txt'), file('a/c.txt', ''), file('.hidden')];
    const answer = await submit({ files, collect: ['out/**', '*.log'] });
    assert.equal(answer.status, 201, answer.text);
    assert.deepEqual([answer.submitted?.files, answer.submitted?.collect], [files, ['out/**', '*.log']]);
  });

  it('are refused where the name could lead elsewhere, with the field and what is wrong', async () => {
    const wrong: readonly (readonly [files: unknown, message: RegExp])[] = [
      [[file('/etc/passwd')], /^files\[0\]\.path: ".*".* must be relative to the scratch folder/],
      [[file('ok'), file('../x')], /^files\[1\]\.path: ".*".* must not contain "\.\."/],
      [[file('a/../../x')], /^files\[0\]\.path: ".*".* must not contain "\.\."/],
      [[file('a//b')], /^files\[0\]\.path: ".*".* must not contain empty parts/],
      [[file('./a')], /^files\[0\]\.path: ".*".* must not contain empty parts or "\."/],
      [[file('a\0b')], /^files\[0\]\.path: ".*".* must not contain a NUL/],
      [[file('.tmp/x')], /^files\[0\]\.path: ".*".* must not begin with \.tmp/],
      [[file('x'.repeat(256))], /^files\[0\]\.path: ".*".* must not contain a name of more than 255 bytes/],
      [[file('a'), file('a')], /^files\[1\]\.path: a is there twice/],
      [[file('a'), file('a/b')], /^files\[1\]\.path: a is a file/],
      [[file('a/b/c'), file('a')], /^files\[1\]\.path: a is a folder of another file/],
      [[file('a', 'not base64!')], /^files\[0\]\.contentBase64: ".*".* must be base64/],
      [[file('a', 'abc')], /^files\[0\]\.contentBase64: ".*".* must be base64/],
      [[{ path: 'a' }], /^files\[0\]\.contentBase64/],
      [[{ ...file('a'), mode: 7 }], /^files\[0\]\.mode/],
      [Array.from({ length: LIMITS.filesMax + 1 }, (_, n) => file(`f${n}`)), /^files: .*1000/],
    ];
    for (const [files, message] of wrong) {
      const answer = await submit({ files });
      assert.equal(answer.status, 400, JSON.stringify(files).slice(0, 100));
      assert.match(answer.json.error.message, message);
    }
    for (const [pattern, message] of [
      ['/abs/*', /^collect\[0\]: ".*".* must be relative/],
      ['../*', /^collect\[0\]: ".*".* must not contain "\.\."/],
      ['', /^collect\[0\]/],
    ] as const) {
      const answer = await submit({ collect: [pattern] });
      assert.equal(answer.status, 400, pattern);
      assert.match(answer.json.error.message, message);
    }
  });

  it('count toward the size of a task: 413 states the limit', async () => {
    const answer = await submit({
      files: [file('big', Buffer.alloc(LIMITS.taskBytesMax).toString('base64'))],
    });
    assert.equal(answer.status, 413);
    assert.equal(answer.json.error.code, 'TOO_LARGE');
    assert.match(answer.json.error.message, new RegExp(String(LIMITS.taskBytesMax)));
  });
});

describe('GET /v1/tasks/:id/files', () => {
  it('lists them and gives each byte for byte, never as a page', async () => {
    const { address, cluster } = await startServer();
    const { id } = cluster.add({ status: 'succeeded' });
    const content = Buffer.from([0, 255, 10, 60, 104, 116, 109, 108, 62]);
    cluster.files.set('out dir/ü #1.html', content);
    const list = await ask(address, `/v1/tasks/${id}/files`);
    assert.deepEqual(list.json, {
      ...{ task: id, attempt: 1, node: 'worker1', leftOut: null },
      files: [{ path: 'out dir/ü #1.html', bytes: 9, kept: 'cluster' }],
    });
    for (const path of ['out%20dir/%C3%BC%20%231.html', 'out%20dir%2F%C3%BC%20%231.html']) {
      const response = await fetch(`http://${address}/v1/tasks/${id}/files/${path}`);
      assert.equal(response.status, 200, path);
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), content);
      const header = (name: string) => response.headers.get(name);
      assert.equal(header('content-type'), 'application/octet-stream');
      assert.equal(header('content-disposition'), "attachment; filename*=UTF-8''%C3%BC%20%231.html");
      assert.equal(header('x-content-type-options'), 'nosniff');
      assert.equal(header('content-length'), '9');
    }
    for (const path of [`${id}/files/nothing`, `${id}/files/../files`, 'nothing/files', 'nothing/files/x']) {
      assert.equal((await ask(address, `/v1/tasks/${path}`)).status, 404, path);
    }
    assert.equal((await ask(address, `/v1/tasks/${id}/files?x=1`)).status, 400);
    assert.equal((await ask(address, `/v1/tasks/${id}/files/%zz`)).status, 400);
  });
});
