/** The log lines through the client node: the page dials no other address. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { startClient } from './client-node.ts';
import { ask, closeAll, listen } from './nodes.ts';

after(closeAll);

describe('GET /v1/log-lines on the client', () => {
  it('is passed on to the database as it is', async () => {
    const seen: (string | undefined)[] = [];
    const database = await listen((req, res) => {
      seen.push(req.url, req.headers.authorization);
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"lines":[],"next":7,"more":false}');
    });
    const client = await startClient([], { databaseUrl: `http://${database.address}` });
    const answer = await ask(client.address, '/v1/log-lines?node=server1&q=a%20b&after=3');
    assert.equal(answer.status, 200);
    assert.deepEqual(seen, ['/v1/log-lines?node=server1&q=a%20b&after=3', undefined]);
  });

  it('is 503 while the database does not answer, and 404 where there is none', async () => {
    const away = await startClient([], { databaseUrl: 'http://127.0.0.1:1' });
    assert.equal((await ask(away.address, '/v1/log-lines')).status, 503);
    const none = await startClient([]);
    assert.equal((await ask(none.address, '/v1/log-lines')).status, 404);
  });
});
