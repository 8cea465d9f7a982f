/** /v1/raft/peers, /v1/raft/snapshot: who takes part in consensus. */
import { LIMITS } from '../api/limits.ts';
import { addPeerRequestSchema } from '../api/peers.ts';
import { checked, expectNothing, invalid, queryOf, shortened, staleQuery } from './input.ts';
import { parseJson } from './request-body.ts';
import type { TaskRouteDeps } from './task-routes.ts';

/** As NODE_ID_PATTERN of the command line: ids are host names in compose and keys of labels. */
const NEW_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export function mountPeerRoutes({ shell, gate, local }: TaskRouteDeps): void {
  const { answers, bodies } = shell;

  shell.route('get', '/v1/raft/peers', (req, res) => {
    staleQuery(req);
    answers.json(res, 200, local().peers());
  });

  shell.route('post', '/v1/raft/peers/:id', async (req, res) => {
    queryOf(req, []);
    const body = await bodies.read(req, res, LIMITS.bodyBytesMax);
    const id = newId(req.params['id']);
    await gate.call(req, res, {
      body,
      // Who is a member already is not added again.
      repeatable: () => true,
      run: async (cluster) => {
        const request = checked(addPeerRequestSchema, parseJson(body), ['address', 'learner']);
        answers.json(res, 200, await cluster.addPeer(id, request));
      },
    });
  });

  shell.route('delete', '/v1/raft/peers/:id', async (req, res) => {
    const id = newId(req.params['id']);
    queryOf(req, []);
    await gate.call(req, res, {
      body: null,
      repeatable: () => true,
      run: async (cluster) => {
        answers.json(res, 200, await cluster.removePeer(id));
      },
    });
  });

  shell.route('post', '/v1/raft/snapshot', async (req, res) => {
    queryOf(req, []);
    expectNothing(await bodies.read(req, res, LIMITS.bodyBytesMax));
    answers.json(res, 200, await local().takeSnapshot());
  });
}

/** @throws ApiError INVALID */
function newId(parameter: unknown): string {
  const id = String(parameter);
  if (NEW_ID.test(id)) return id;
  const message = `${shortened(id)} is no name of a server: 1 to 63 letters, digits, '.', '_' or '-', not beginning with a mark`;
  throw invalid([{ field: 'id', message }]);
}
