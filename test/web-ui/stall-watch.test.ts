import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { GRACE_MS, StallWatch } from '../../src/web/ui/src/net/stall-watch.ts';

const T0 = 1_800_000_000_000;

/** A watch whose stream has begun with everything fetched up to index 100. */
function watch(): StallWatch {
  const made = new StallWatch();
  made.reset();
  made.applied(100);
  made.proven(98);
  made.settle();
  return made;
}

describe('a stream that is open and silent', () => {
  it('is fine while nothing happens in the cluster', () => {
    const made = watch();
    assert.equal(made.check(T0), 'fine');
    assert.equal(made.check(T0 + 10 * GRACE_MS), 'fine');
  });

  it('is dead when a fetched task has changed and no event of it comes', () => {
    const made = watch();
    made.applied(104);
    made.proven(104);
    assert.equal(made.check(T0), 'behind');
    assert.equal(made.check(T0 + GRACE_MS - 1), 'behind');
    assert.equal(made.check(T0 + GRACE_MS), 'dead');
  });

  it('is fine again when the event comes after all', () => {
    const made = watch();
    made.proven(104);
    assert.equal(made.check(T0), 'behind');
    made.heard(104);
    assert.equal(made.check(T0 + GRACE_MS), 'fine');
  });

  it('is looked into once where the log has grown by entries that may have nothing to tell', () => {
    const made = watch();
    made.applied(101);
    assert.equal(made.check(T0), 'fine');
    assert.equal(made.check(T0 + GRACE_MS), 'look');
    assert.equal(made.check(T0 + GRACE_MS + 1), 'fine');
    assert.equal(made.check(T0 + 9 * GRACE_MS), 'fine', 'the same entry is not looked into twice');
  });

  it('is dead when that look brings a change that it should have brought', () => {
    const made = watch();
    made.applied(104);
    made.check(T0);
    assert.equal(made.check(T0 + GRACE_MS), 'look');
    made.proven(103);
    assert.equal(made.check(T0 + GRACE_MS + 1), 'behind');
    assert.equal(made.check(T0 + 2 * GRACE_MS + 1), 'dead');
  });

  it('is fine where it is merely ahead of an older answer', () => {
    const made = watch();
    made.heard(180);
    made.check(T0);
    assert.equal(made.check(T0 + 3 * GRACE_MS), 'fine');
  });

  it('is of another cluster when the log is shorter than what it brought', () => {
    const made = watch();
    made.heard(5_000);
    made.applied(12);
    made.check(T0);
    assert.equal(made.check(T0 + GRACE_MS), 'dead');
    made.reset();
    made.applied(12);
    made.settle();
    assert.equal(made.check(T0 + 2 * GRACE_MS), 'fine', 'and begins anew with that one');
  });
});
