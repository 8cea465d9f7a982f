/** /v1/schedules: tasks that are made again and again. */
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import { scheduleRequestSchema } from '../api/schedules.ts';
import { checked, queryOf, shortened, staleQuery } from './input.ts';
import { parseJson } from './request-body.ts';
import { read } from './task-routes.ts';
import type { TaskRouteDeps } from './task-routes.ts';

const ID_CHARS_MAX = 64;

export function mountScheduleRoutes({ shell, gate, local }: TaskRouteDeps): void {
  const { answers, bodies } = shell;

  shell.route('get', '/v1/schedules', async (req, res) => {
    const stale = staleQuery(req);
    await read(gate, local, req, res, stale, (cluster) => {
      answers.json(res, 200, { schedules: cluster.schedules() });
    });
  });

  shell.route('post', '/v1/schedules', async (req, res) => {
    queryOf(req, []);
    const body = await bodies.read(req, res, LIMITS.bodyBytesMax);
    await gate.call(req, res, {
      body,
      // Twice would make two of them.
      repeatable: () => false,
      run: async (cluster) => {
        const request = checked(scheduleRequestSchema, parseJson(body), ['cron', 'tz', 'task']);
        const schedule = await cluster.addSchedule(request);
        answers.json(res, 201, schedule);
      },
    });
  });

  shell.route('delete', '/v1/schedules/:id', async (req, res) => {
    const id = String(req.params['id']);
    queryOf(req, []);
    if (id.length > ID_CHARS_MAX) throw new ApiError('NOT_FOUND', `no schedule ${shortened(id)}`);
    await gate.call(req, res, {
      body: null,
      repeatable: () => false,
      run: async (cluster) => {
        answers.json(res, 200, { id: await cluster.removeSchedule(id) });
      },
    });
  });
}
