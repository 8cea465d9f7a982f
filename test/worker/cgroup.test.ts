import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { readCgroupLimits } from '../../src/worker/cgroup.ts';
import { nodeCapacity, Sampler } from '../../src/worker/sampler.ts';

const MIB = 1024 * 1024;

describe('limits of the control group', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'clb-cgroup-test-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  };
  const limits = (membership: string) => {
    write('membership', membership);
    return readCgroupLimits({ mount: join(root, 'fs'), membership: join(root, 'membership') });
  };

  it('are none where nothing is limited', () => {
    write('fs/cpu.max', 'max 100000');
    write('fs/memory.max', 'max');
    assert.deepEqual(limits('0::/'), { cpu: null, memory: null });
    rmSync(join(root, 'fs'), { recursive: true });
    assert.deepEqual(limits('0::/'), { cpu: null, memory: null });
  });

  it('are read in version 2, as seen from inside a container', () => {
    write('fs/cpu.max', '50000 100000');
    write('fs/cpu.stat', 'usage_usec 2500000\nuser_usec 1');
    write('fs/memory.max', String(256 * MIB));
    write('fs/memory.current', String(100 * MIB));
    write('fs/memory.stat', `anon 5\ninactive_file ${20 * MIB}`);
    const { cpu, memory } = limits('0::/');
    assert.equal(cpu?.cores, 0.5);
    assert.equal(cpu.usedMs(), 2_500);
    assert.equal(memory?.bytes, 256 * MIB);
    assert.equal(memory.usedBytes(), 80 * MIB);
  });

  it('are those of the tightest group on the way up', () => {
    write('fs/a/cpu.max', '150000 100000');
    write('fs/a/memory.max', String(64 * MIB));
    write('fs/a/b/cpu.max', '300000 100000');
    write('fs/a/b/memory.max', 'max');
    const { cpu, memory } = limits('0::/a/b');
    assert.equal(cpu?.cores, 1.5);
    assert.equal(memory?.bytes, 64 * MIB);
  });

  it('are read in version 1', () => {
    write('fs/cpu/docker/x/cpu.cfs_quota_us', '200000');
    write('fs/cpu/docker/x/cpu.cfs_period_us', '100000');
    write('fs/cpu/cpu.cfs_quota_us', '-1');
    write('fs/cpu/cpu.cfs_period_us', '100000');
    write('fs/cpuacct/docker/x/cpuacct.usage', '7000000');
    write('fs/memory/memory.limit_in_bytes', String(512 * MIB));
    write('fs/memory/memory.usage_in_bytes', String(300 * MIB));
    write('fs/memory/memory.stat', `total_inactive_file ${100 * MIB}`);
    // The memory group of the container is mounted as the root: its path on the host does not exist here.
    const { cpu, memory } = limits('5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/');
    assert.equal(cpu?.cores, 2);
    assert.equal(cpu.usedMs(), 7);
    assert.equal(memory?.bytes, 512 * MIB);
    assert.equal(memory.usedBytes(), 200 * MIB);
  });

  it('are none in version 1 where the limit is its largest number', () => {
    write('fs/memory/memory.limit_in_bytes', '9223372036854771712');
    write('fs/cpu/cpu.cfs_quota_us', '-1');
    write('fs/cpu/cpu.cfs_period_us', '100000');
    assert.deepEqual(limits('5:memory:/\n4:cpu:/'), { cpu: null, memory: null });
  });
});

describe('the capacity of a node', () => {
  it('is the machine’s where nothing is limited', () => {
    assert.deepEqual(nodeCapacity({ cpu: null, memory: null }), {
      cpus: availableParallelism(),
      memoryMb: Math.floor(totalmem() / MIB),
      slotsDefault: availableParallelism(),
    });
  });

  it('is the group’s where it is limited; one slot at least', () => {
    const capacity = nodeCapacity({
      cpu: { cores: 0.5, usedMs: () => 0 },
      memory: { bytes: 100 * MIB, usedBytes: () => 0 },
    });
    assert.deepEqual(capacity, { cpus: 0.5, memoryMb: 100, slotsDefault: 1 });
  });
});

describe('the sampler', () => {
  it('measures the group in percent of its limit', async () => {
    let usedMs = 0;
    let called = 0;
    let sampler: Sampler | null = null;
    const sampled = new Promise<void>((resolve, reject) => {
      sampler = new Sampler(reject, {
        // Half a core in use of a quarter core allowed: over the quota, so it counts as 100.
        cpu: { cores: 0.25, usedMs: () => (usedMs += 500) },
        memory: {
          bytes: 200,
          usedBytes: () => {
            called += 1;
            if (called === 3) resolve();
            return 50;
          },
        },
      });
      sampler.start();
      sampler.touch();
    });
    const running = sampler!;
    assert.equal(running.take(), null, 'nothing was measured yet');
    await sampled;
    running.stop();
    assert.deepEqual(running.latest, { cpu: 100, memory: 25 });
    assert.deepEqual(running.take(), { cpu: 100, memory: 25 });
    assert.equal(running.take(), null, 'each sample is handed out once');
  });
});
