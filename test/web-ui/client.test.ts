import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Api } from '../../src/web/ui/src/net/api.ts';
import { ApiFailure, Client, isPassing } from '../../src/web/ui/src/net/client.ts';
import type { AnswerMeta, FailureCode } from '../../src/web/ui/src/net/client.ts';

/** A client whose calls get these answers, one after the other; an Error means that none came. */
function client(...answers: (Response | Error)[]) {
  const asked: string[] = [];
  const metas: AnswerMeta[] = [];
  const fake: typeof fetch = (input) => {
    asked.push(input as string);
    const answer = answers.shift() ?? assert.fail('asked more often than expected');
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const made = new Client({
    fetch: fake,
    onAnswer: (meta) => metas.push(meta),
    readMs: 1_000,
    changeMs: 1_000,
  });
  return { made, api: new Api(made), asked, metas };
}

function refusal(status: number, code: string, headers: Record<string, string> = {}): Response {
  return new Response(
    JSON.stringify({ error: { code, message: `it is ${code}`, details: { field: 'x' } } }),
    {
      status,
      headers,
    },
  );
}

async function failure(call: Promise<unknown>): Promise<ApiFailure> {
  return call.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => (thrown instanceof ApiFailure ? thrown : assert.fail(String(thrown))),
  );
}

describe('a call', () => {
  it('fails with code, message, details and Retry-After of the answer', async () => {
    const { made } = client(refusal(503, 'NO_LEADER', { 'retry-after': '2' }));
    const { code, message, status, details, retryAfterMs } = await failure(made.get('/v1/tasks'));
    assert.deepEqual(
      { code, message, status, details, retryAfterMs },
      {
        code: 'NO_LEADER',
        message: 'it is NO_LEADER',
        status: 503,
        details: { field: 'x' },
        retryAfterMs: 2_000,
      },
    );
  });

  it('fails as unreadable where something else answered', async () => {
    const { made } = client(
      new Response('<html>Bad gateway</html>', { status: 502 }),
      new Response('<html>Welcome</html>'),
    );
    const gateway = await failure(made.get('/v1/tasks'));
    assert.equal(gateway.code, 'UNREADABLE');
    assert.equal(isPassing(gateway), true, 'a gateway error passes');
    const welcome = await failure(made.get('/v1/tasks'));
    assert.equal(welcome.code, 'UNREADABLE');
    assert.equal(isPassing(welcome), false);
  });

  it('tells no answer from an answer that did not come in time', async () => {
    const { made } = client(new TypeError('Failed to fetch'), new DOMException('late', 'TimeoutError'));
    assert.equal((await failure(made.get('/v1/x'))).code, 'NETWORK');
    assert.equal((await failure(made.get('/v1/x'))).code, 'TIMEOUT');
  });

  it('passes on what the headers of every answer tell', async () => {
    const { made, metas } = client(
      Response.json({}, { headers: { 'x-clb-index': '41', date: 'Fri, 15 Jan 2027 08:00:00 GMT' } }),
      refusal(401, 'UNAUTHORIZED'),
    );
    await made.get('/v1/raft');
    await failure(made.get('/v1/raft'));
    assert.deepEqual(metas, [
      { path: '/v1/raft', ok: true, status: 200, index: 41, dateMs: 1_800_000_000_000 },
      { path: '/v1/raft', ok: false, status: 401, index: null, dateMs: null },
    ]);
  });

  it('takes what passes by itself for that, and nothing else', () => {
    const passing = (code: FailureCode, status?: number): boolean =>
      isPassing(new ApiFailure(code, '', status === undefined ? {} : { status }));
    for (const code of ['NETWORK', 'TIMEOUT', 'NO_LEADER', 'NO_QUORUM', 'UNKNOWN_OUTCOME'] as const) {
      assert.equal(passing(code), true, code);
    }
    for (const code of ['INVALID', 'CONFLICT', 'FORBIDDEN', 'QUEUE_FULL', 'INTERNAL'] as const) {
      assert.equal(passing(code, 400), false, code);
    }
  });
});

describe('a read', () => {
  it('asks for what the server has where there is no majority, and says so', async () => {
    const { api, asked } = client(refusal(503, 'NO_QUORUM'), Response.json({ nodes: [] }));
    assert.deepEqual(await api.nodes(), { value: [], stale: true });
    assert.deepEqual(asked, ['/v1/nodes', '/v1/nodes?stale=true']);
  });

  it('keeps its own query when it asks again', async () => {
    const page = { tasks: [], nextCursor: null, counts: {} };
    const { api, asked } = client(refusal(503, 'NO_LEADER'), Response.json(page));
    await api.listTasks({ status: 'failed', q: 'a b', cursor: null }, 50, 'cur');
    assert.equal(asked[1], `${asked[0] ?? ''}&stale=true`);
    assert.match(asked[0] ?? '', /limit=50&status=failed&q=a\+b&cursor=cur/);
    const narrow = { label: 'team=blue', since: '2026-01-02T03:04:05.000Z' };
    await api.listTasks({ status: null, q: '', cursor: null, ...narrow }, 50, null).catch(() => undefined);
    assert.match(asked[2] ?? '', /limit=50&label=team%3Dblue&since=2026-01-02T03%3A04%3A05.000Z/);
  });

  it('does not ask a second time where nobody answers at all', async () => {
    const { api, asked } = client(new TypeError('Failed to fetch'));
    assert.equal((await failure(api.nodes())).code, 'NETWORK');
    assert.equal(asked.length, 1);
  });

  it('does not take another shape for a list', async () => {
    const { api } = client(Response.json({ hello: 'world' }));
    assert.equal((await failure(api.nodes())).code, 'UNREADABLE');
  });
});
