/**
 * `clb verify` finds nothing where there is nothing, whatever was done to a cluster, and finds each kind of violation: the real state
 * machine's log and records are shown to it, first as they are, then with one thing changed.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuditEntry, AuditLine, AuditTask } from '../../src/api/audit.ts';
import type { CheckName, Violation } from '../../src/verify/checks.ts';
import { CHECKS } from '../../src/verify/checks.ts';
import { STATE_LIMITS } from '../../src/scheduler/state/limits.ts';
import { MachineDriver } from '../scheduler/machine-driver.ts';
import { RandomCommands } from '../scheduler/state/random-commands.ts';
import { Random } from '../scheduler/state/random.ts';
import { audited, verified, withTask } from './audited.ts';

const SEEDS = 12;
const STEPS = 600;

/** A retry, a lost node, a late result, a cancellation, a key, a dependency, and one task that still runs. */
async function history(): Promise<MachineDriver> {
  const driver = await MachineDriver.create();
  driver.newTerm();
  driver.nodeUp('n1');
  driver.nodeUp('n2');
  driver.submit('plain', {}, { key: 'k1', content: 'c' });
  driver.submit('after', { after: ['plain'] });
  const plain = driver.assign('plain', 'n1');
  driver.apply({ op: 'start', task: 'plain', token: plain });
  driver.now += 50;
  driver.finish('plain', plain);
  driver.submit('moved');
  const first = driver.assign('moved', 'n1');
  driver.apply({ op: 'start', task: 'moved', token: first });
  driver.now += 50;
  driver.apply({ op: 'nodeDown', node: 'n1', reason: 'test' });
  driver.now += 50;
  const second = driver.assign('moved', 'n2');
  driver.apply({ op: 'start', task: 'moved', token: second });
  driver.now += 50;
  driver.finish('moved', second);
  driver.finish('moved', first, 'failed');
  driver.submit('retried', { maxAttempts: 2, backoffMs: 0 });
  driver.finish('retried', driver.assign('retried', 'n2'), 'failed');
  driver.newTerm();
  driver.finish('retried', driver.assign('retried', 'n2'));
  driver.submit('unwanted');
  driver.one({ op: 'cancel', task: 'unwanted' });
  driver.submit('running');
  driver.apply({ op: 'start', task: 'running', token: driver.assign('running', 'n2') });
  return driver;
}

async function lines(): Promise<AuditLine[]> {
  return audited(await history());
}

function shown(violations: readonly Violation[]): string {
  return violations.map(({ check, task, message }) => `${check} ${task ?? ''}: ${message}`).join('\n');
}

/** The planted violation is found, by its own check, and named. */
async function finds(
  planted: readonly AuditLine[],
  check: CheckName,
  task: string | null,
  message: RegExp,
): Promise<void> {
  const { violations } = await verified(planted);
  const found = violations.find((violation) => violation.check === check && violation.task === task);
  assert.ok(found, `not found by ${check}:\n${shown(violations)}`);
  assert.match(found.message, message);
}

const withEntry = (
  all: readonly AuditLine[],
  index: number,
  change: (entry: AuditEntry) => AuditEntry,
): AuditLine[] =>
  all.map((line) =>
    line.kind === 'log'
      ? { ...line, entries: line.entries.map((entry) => (entry.index === index ? change(entry) : entry)) }
      : line,
  );

function taskIn(all: readonly AuditLine[], id: string): AuditTask {
  const found = all.find((line) => line.kind === 'task' && line.id === id);
  assert.ok(found?.kind === 'task');
  return found;
}

describe('verify, where all is well', () => {
  it('finds nothing after random commands, sensible ones and late, doubled or mistaken ones', async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = new Random(seed);
      const driver = await MachineDriver.create(1 + random.below(12));
      driver.newTerm();
      const commands = new RandomCommands(driver, random);
      for (let step = 0; step < STEPS; step += 1) commands.step();
      const { violations, unreachable } = await verified(await audited(driver));
      assert.equal(shown(violations), '', `seed ${seed}`);
      assert.deepEqual(unreachable, [], `seed ${seed}`);
    }
  });

  it('finds nothing where a task was given up after too many losses, or a replaced attempt came back', async () => {
    const driver = await MachineDriver.create();
    driver.newTerm();
    driver.one({ op: 'version', version: 2 });
    for (const id of ['by-the-node', 'with-the-node']) {
      driver.submit(id);
      let first = 0;
      for (let n = 1; n <= STATE_LIMITS.lossesMax; n += 1) {
        driver.nodeUp('n1');
        const token = driver.assign(id, 'n1');
        if (n === 1) first = token;
        if (id === 'with-the-node') driver.one({ op: 'nodeDown', node: 'n1', reason: 'test' });
        else driver.one({ op: 'lost', task: id, token, reason: 'test' });
        if (n === 2) assert.equal(driver.one({ op: 'supersede', task: id, token: first }).kind, 'superseded');
      }
      assert.equal(driver.task(id).status, 'failed');
    }
    assert.equal(shown((await verified(await audited(driver))).violations), '');
  });

  it('finds nothing in a cluster of which one server is behind', async () => {
    const random = new Random(7);
    const driver = await MachineDriver.create(4);
    driver.newTerm();
    const commands = new RandomCommands(driver, random);
    for (let step = 0; step < 200; step += 1) commands.step();
    const behind = await audited(driver, 'server2');
    for (let step = 0; step < 200; step += 1) commands.step();
    for (const order of [
      [behind, await audited(driver)],
      [await audited(driver), behind],
    ]) {
      assert.equal(shown((await verified(...order)).violations), '');
    }
  });

  it('examines something for each of its checks', async () => {
    const all = await lines();
    const { findings, violations } = await verified(
      all,
      all.map((line) => (line.kind === 'head' ? { ...line, node: 'server2' } : line)),
    );
    assert.equal(shown(violations), '');
    for (const name of Object.keys(CHECKS) as CheckName[]) assert.ok(findings.checkedOf(name) > 0, name);
  });
});

describe('verify, where something is wrong, finds', () => {
  it('a task that was accepted and is gone', async () => {
    const all = (await lines()).filter((line) => line.kind !== 'task' || line.id !== 'plain');
    await finds(
      all.map((line) => (line.kind === 'end' ? { ...line, tasks: line.tasks - 1 } : line)),
      'accepted',
      'plain',
      /submits it, but it is not kept/,
    );
  });

  it('a final status that is not the one in the log', async () => {
    const all = withTask(await lines(), 'plain', (task) => ({ ...task, status: 'failed' }));
    await finds(all, 'final', 'plain', /the record says failed, the log at entry \d+ says succeeded/);
  });

  it('a result that is not the one in the log', async () => {
    const all = withTask(await lines(), 'plain', (task) => ({ ...task, result: 'f00d' }));
    await finds(all, 'final', 'plain', /not the one that was reported/);
  });

  it('a task that went on after it had ended', async () => {
    const all = withTask(await lines(), 'plain', (task) => {
      const last = task.timeline.at(-1);
      assert.ok(last);
      return { ...task, timeline: [...task.timeline, [last[0] + 1, 'started', 'n1', 1], last] };
    });
    await finds(all, 'final', 'plain', /the task had ended \(finished at entry \d+\), and then started/);
  });

  it('two attempts at once', async () => {
    const all = withTask(await lines(), 'moved', (task) => ({
      ...task,
      attempts: task.attempts.map((attempt) =>
        attempt.number === 2 ? { ...attempt, startedAt: (attempt.startedAt ?? 0) - 80 } : attempt,
      ),
    }));
    await finds(all, 'attempts', 'moved', /began 30 ms before attempt 1 on n1 had ended/);
  });

  it('an attempt that was assigned while another one held the task', async () => {
    const all = withTask(await lines(), 'moved', (task) => ({
      ...task,
      timeline: task.timeline.filter(([, what]) => what !== 'lost'),
    }));
    await finds(all, 'attempts', 'moved', /nothing says that attempt 1 on n1 had ended/);
  });

  it('an attempt without an end that is not the current one', async () => {
    const all = withTask(await lines(), 'moved', (task) => ({
      ...task,
      attempts: task.attempts.map((attempt) =>
        attempt.number === 1 ? { ...attempt, outcome: null } : attempt,
      ),
    }));
    await finds(all, 'attempts', 'moved', /attempt 1 on n1 never ended/);
  });

  it('a token that is not the place of an assignment', async () => {
    const planted = await lines();
    const { attempts } = taskIn(planted, 'plain');
    const all = withEntry(planted, attempts[0]?.token ?? 0, (entry) => ({ ...entry, facts: [] }));
    await finds(all, 'tokens', 'plain', /entry \d+ is said to be where the task was assigned/);
  });

  it('a result taken from an attempt that was replaced', async () => {
    const planted = await lines();
    const { attempts, timeline } = taskIn(planted, 'moved');
    const end = timeline.find(([, what]) => what === 'finished');
    assert.ok(end);
    const all = withEntry(planted, end[0], (entry) => ({
      ...entry,
      facts: entry.facts.map((fact) => ({ ...fact, token: attempts[0]?.token ?? 0 })),
    }));
    await finds(all, 'tokens', 'moved', /finished \(attempt 2 on n2/);
  });

  it('a result in the log of which the record knows nothing', async () => {
    const all = withTask(await lines(), 'retried', (task) => ({
      ...task,
      attempts: task.attempts.map((attempt) =>
        attempt.number === 1 ? { ...attempt, outcome: null } : attempt,
      ),
    }));
    await finds(all, 'results', 'retried', /is in the log, the attempt has no outcome/);
  });

  it('a result of a task that nobody knows', async () => {
    const all = withEntry(await lines(), 10, (entry) => ({
      ...entry,
      facts: [
        ...entry.facts,
        { op: 'finish', task: 'ghost', token: 9, outcome: 'succeeded', result: 'f00d' },
      ],
    }));
    await finds(all, 'results', 'ghost', /a result of a task that is not kept/);
  });

  it('two tasks under one key', async () => {
    const all = withTask(await lines(), 'moved', (task) => ({ ...task, key: 'k1' }));
    await finds(all, 'keys', 'moved', /the same idempotency key as task plain/);
  });

  it('a task that is kept twice', async () => {
    const planted = await lines();
    const all = planted.flatMap((line) =>
      line.kind === 'task' && line.id === 'plain' ? [line, line] : [line],
    );
    await finds(all, 'final', 'plain', /two tasks with this id/);
  });

  it('counts that do not add up', async () => {
    const all = (await lines()).map((line) =>
      line.kind === 'head'
        ? { ...line, counts: { ...line.counts, succeeded: line.counts.succeeded + 1 } }
        : line,
    );
    await finds(all, 'counts', null, /tasks are counted as succeeded/);
  });

  it('a hole in the log, a term that falls, a term of two leaders', async () => {
    const planted = await lines();
    await finds(
      planted
        .filter((line) => line.kind !== 'log' || line.entries[0]?.index !== 5)
        .map((line) => (line.kind === 'end' ? { ...line, entries: line.entries - 1 } : line)),
      'terms',
      null,
      /entry 4 is followed by entry 6/,
    );
    await finds(
      withEntry(planted, 6, (entry) => ({ ...entry, term: 1 })),
      'terms',
      null,
      /the term falls from 2 to 1/,
    );
    await finds(
      withEntry(planted, 6, (entry) => ({ ...entry, kind: 'noop' })),
      'terms',
      null,
      /term 2 began at entry 1 and again at entry 6/,
    );
    await finds(
      withEntry(planted, 6, (entry) => ({ ...entry, term: 9 })),
      'terms',
      null,
      /term 9 begins with a command/,
    );
  });

  it('a stretch of the log that does not continue the one before it, and damage that the server reports', async () => {
    const planted = await lines();
    const all = planted.map((line) =>
      line.kind === 'log' && line.entries[0]?.index === 5 ? { ...line, chainBefore: 77 } : line,
    );
    await finds(all, 'disk', null, /does not continue the log before it/);
    const reported: AuditLine[] = planted.flatMap((line): AuditLine[] =>
      line.kind === 'end' ? [{ kind: 'damage', message: 'record log!9: checksum' }, line] : [line],
    );
    await finds(reported, 'disk', null, /record log!9/);
  });

  it('servers whose logs or tasks differ, and two leaders of one term', async () => {
    const one = await lines();
    const other = one.map((line) =>
      line.kind === 'head' ? { ...line, node: 'server2', leader: 'server2' } : line,
    );
    const differing = withTask(
      withEntry(other, 5, (entry) => ({ ...entry, digest: 'beef' })),
      'plain',
      (task) => ({ ...task, digest: 'beef' }),
    );
    const { violations } = await verified(one, differing);
    const named = violations.map(({ check, server, task, index }) => [check, server, task, index]);
    assert.deepEqual(named, [
      ['leaders', 'server2', null, null],
      ['log', 'server2', null, 5],
      ['tasks', 'server2', 'plain', taskIn(one, 'plain').index],
    ]);
  });

  it('a task that one server has and another has not', async () => {
    const one = await lines();
    const without = one
      .filter((line) => line.kind !== 'task' || line.id !== 'unwanted')
      .map((line): AuditLine => {
        if (line.kind === 'head')
          return { ...line, node: 'server2', counts: { ...line.counts, canceled: 0 } };
        return line.kind === 'end' ? { ...line, tasks: line.tasks - 1 } : line;
      });
    const { violations } = await verified(one, without);
    assert.deepEqual(
      violations.map(({ check, server, task }) => [check, server, task]),
      [
        ['accepted', 'server2', 'unwanted'],
        ['counts', 'server2', null],
        ['tasks', 'server2', 'unwanted'],
      ],
    );
  });

  it('nothing in an answer that breaks off: that server counts as not read', async () => {
    const all = (await lines()).slice(0, -1);
    const { servers, unreachable } = await verified(all);
    assert.equal(servers.length, 0);
    assert.equal(unreachable.length, 1);
  });
});
