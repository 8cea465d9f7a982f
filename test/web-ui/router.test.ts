import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import {
  homeHash,
  logsHash,
  NO_LOG_FILTER,
  parseRoute,
  taskHash,
  tasksHash,
} from '../../src/web/ui/src/model/router.ts';
import { NO_FILTER } from '../../src/web/ui/src/model/task-list.ts';

describe('addresses within the page', () => {
  it('lead home without a path', () => {
    for (const hash of ['', '#', '#/', homeHash])
      assert.deepEqual(parseRoute(hash), { kind: 'home', filter: NO_FILTER });
  });

  it('name a task by its id, whatever characters it has', () => {
    for (const id of ['0a1b2c3d', 'a b/c?d#e%']) {
      assert.deepEqual(parseRoute(taskHash(id)), { kind: 'task', id });
    }
  });

  it('keep which payloads are looked at, and what is no filter counts as none', () => {
    for (const filter of [
      NO_FILTER,
      { status: 'failed', q: 'a b&c?d', cursor: null },
      { status: null, q: '', cursor: '123' },
      { status: null, q: '', cursor: null, label: 'team=blue', name: 'a b' },
      {
        status: 'queued',
        q: 'c',
        cursor: '7',
        since: '2026-01-02T03:04:05.000Z',
        until: '2026-02-03T04:05:06.000Z',
      },
    ] as const) {
      for (const view of ['home', 'tasks'] as const) {
        assert.deepEqual(parseRoute(tasksHash(filter, view)), { kind: view, filter });
      }
    }
    assert.deepEqual(parseRoute('#/tasks?status=nonsense&cursor=-1&label=&since=soon'), {
      kind: 'tasks',
      filter: NO_FILTER,
    });
  });

  it('keep which log lines are looked at', () => {
    for (const filter of [NO_LOG_FILTER, { node: 'server1', q: '' }, { node: '', q: 'a b&c?d' }]) {
      assert.deepEqual(parseRoute(logsHash(filter)), { kind: 'logs', filter });
    }
  });

  it('name each view', () => {
    for (const kind of ['dashboard', 'submit', 'nodes', 'cluster', 'faults'])
      assert.deepEqual(parseRoute(`#/${kind}`), { kind });
  });

  it('that are unknown or broken are said to be so', () => {
    assert.deepEqual(parseRoute('#/nowhere'), { kind: 'unknown', path: '/nowhere' });
    assert.equal(parseRoute('#/tasks/a/b').kind, 'unknown');
    assert.equal(parseRoute('#/tasks/%E0%A4%A').kind, 'unknown');
  });
});
