/**
 * Goal: `kill -9` of all six nodes (and their launchers) with 200 tasks queued, running and finished loses nothing
 * (contract §7, promises 1, 2 and 7). Every acknowledged task reaches exactly one final status after the start; what
 * was finished before is the same to the letter.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import type { BatchResultItem, TaskView } from '../../src/api/tasks.ts';
import { isFinal } from '../../src/api/tasks.ts';
import { beatingPayload, overlaps, readTrace } from './payloads.ts';
import { eventually, ProcessCluster } from './processes.ts';

describe('power loss', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start();
  });
  after(async () => cluster.destroy());

  it('200 tasks in all states survive kill -9 of everything', async () => {
    const record = join(cluster.folder, 'record');
    const accepted: string[] = [];
    const batch = async (tasks: readonly unknown[]): Promise<void> => {
      const answer = await cluster.request<{ results: readonly BatchResultItem[] }>(
        'client',
        'POST',
        '/v1/tasks/batch',
        { tasks },
      );
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      for (const result of answer.body.results) accepted.push(result.task!.id);
    };

    await batch(
      Array.from({ length: 100 }, (_, i) => ({ command: ['echo', `short ${i}`], name: `short-${i}` })),
    );
    const before = await eventually('60 tasks are finished', async () => {
      const tasks = await cluster.allTasks();
      return tasks.filter((task) => isFinal(task.status)).length >= 60 ? tasks : null;
    });
    await batch(Array.from({ length: 100 }, (_, i) => beatingPayload(record, 0.4, `long ${i}`)));
    await eventually('some of them run', () => readTrace(record).length > 0);

    const statuses = new Set((await cluster.allTasks()).map((task) => task.status));
    assert.ok(
      statuses.has('queued') && statuses.has('running') && statuses.has('succeeded'),
      [...statuses].join(),
    );
    await Promise.all(cluster.nodes.map((node) => cluster.killWithLauncher(node.id)));

    for (const node of cluster.nodes) cluster.startNode(node.id);
    await cluster.whenReady();
    const afterwards = await eventually(
      'all 200 are final',
      async () => {
        const tasks = await cluster.allTasks();
        return tasks.filter((task) => isFinal(task.status)).length === 200 ? tasks : null;
      },
      300_000,
    );

    const byId = new Map(afterwards.map((task) => [task.id, task]));
    assert.equal(byId.size, 200, 'no task twice in the list');
    for (const id of accepted)
      assert.equal(byId.get(id)?.status, 'succeeded', `${id}: ${JSON.stringify(byId.get(id))}`);
    for (const task of before.filter((earlier) => isFinal(earlier.status)))
      assert.deepEqual(byId.get(task.id), task);
    assert.deepEqual(overlaps(readTrace(record)), [], 'no task was alive twice at once');
    const counted = await cluster.getAny<{ counts: Record<string, number> }>('/v1/tasks?limit=1');
    assert.equal(counted.counts['succeeded'], 200);
    assert.equal(
      Object.values(counted.counts).reduce((sum, count) => sum + count, 0),
      200,
    );
  });

  it('finished results read the same from every server', async () => {
    const ids = (await cluster.allTasks()).slice(0, 20).map((task) => task.id);
    for (const id of ids) {
      const views = await Promise.all(
        cluster.serverIds.map((server) => cluster.get<TaskView>(server, `/v1/tasks/${id}`)),
      );
      for (const view of views) assert.deepEqual(view, views[0]);
    }
  });
});
