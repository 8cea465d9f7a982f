import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import {
  homeHash,
  logsHash,
  NO_LOG_FILTER,
  parseRoute,
  taskHash,
} from '../../src/web/ui/src/model/router.ts';

describe('addresses within the page', () => {
  it('lead home without a path', () => {
    for (const hash of ['', '#', '#/', homeHash]) assert.deepEqual(parseRoute(hash), { kind: 'home' });
  });

  it('name a task by its id, whatever characters it has', () => {
    for (const id of ['0a1b2c3d', 'a b/c?d#e%']) {
      assert.deepEqual(parseRoute(taskHash(id)), { kind: 'task', id });
    }
  });

  it('keep which log lines are looked at', () => {
    for (const filter of [NO_LOG_FILTER, { node: 'server1', q: '' }, { node: '', q: 'a b&c?d' }]) {
      assert.deepEqual(parseRoute(logsHash(filter)), { kind: 'logs', filter });
    }
  });

  it('name each view', () => {
    for (const kind of ['dashboard', 'submit', 'cluster'])
      assert.deepEqual(parseRoute(`#/${kind}`), { kind });
  });

  it('that are unknown or broken are said to be so', () => {
    assert.deepEqual(parseRoute('#/nowhere'), { kind: 'unknown', path: '/nowhere' });
    assert.equal(parseRoute('#/tasks/a/b').kind, 'unknown');
    assert.equal(parseRoute('#/tasks/%E0%A4%A').kind, 'unknown');
  });
});
