/** The worker's side of a lease (docs/architecture.md, "Leases"). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LeaseRenewal } from '../../src/worker/lease-renewal.ts';

const LEASE_MS = 250;

describe('the renewal of a lease', () => {
  it('counts from when the heartbeat was sent, not from when it was acknowledged', () => {
    const lease = new LeaseRenewal(LEASE_MS, 1_000);
    lease.sent(1, 1_040);
    assert.deepEqual(lease.acknowledged(1, 1_200), { kind: 'renewed', untilMs: 1_290 });
  });

  it('is overdue when nothing was acknowledged for the length of a lease', () => {
    const lease = new LeaseRenewal(LEASE_MS, 1_000);
    lease.sent(1, 1_100);
    assert.equal(lease.isOverdue(1_250), false);
    assert.equal(lease.isOverdue(1_251), true);
    lease.acknowledged(1, 1_250);
    assert.equal(lease.isOverdue(1_350), false);
    assert.equal(lease.isOverdue(1_351), true);
  });

  it('does not believe an acknowledgement that comes after the lease has run out, of whichever heartbeat', () => {
    const lease = new LeaseRenewal(LEASE_MS, 1_000);
    lease.sent(1, 1_000);
    lease.sent(2, 1_240);
    assert.deepEqual(lease.acknowledged(2, 1_251), { kind: 'late' });
  });

  it('takes an acknowledgement for all heartbeats before it, and none twice', () => {
    const lease = new LeaseRenewal(LEASE_MS, 1_000);
    lease.sent(1, 1_000);
    lease.sent(2, 1_100);
    lease.sent(3, 1_200);
    assert.deepEqual(lease.acknowledged(2, 1_210), { kind: 'renewed', untilMs: 1_350 });
    assert.deepEqual(lease.acknowledged(1, 1_220), { kind: 'stale' });
    assert.deepEqual(lease.acknowledged(2, 1_220), { kind: 'stale' });
    assert.deepEqual(lease.acknowledged(9, 1_220), { kind: 'stale' });
    assert.deepEqual(lease.acknowledged(3, 1_230), { kind: 'renewed', untilMs: 1_450 });
  });
});
