/**
 * Goal: the state asked for at any kept index is what was seen live at that index. Method: random operations on a state
 * machine; after each, tasks, nodes and counts are written down; at the end every index is asked for and compared.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterEvent, StateView } from '../../src/api/views.ts';
import type { FinalStatus, TaskStatus } from '../../src/api/tasks.ts';
import { EventRing } from '../../src/scheduler/event-ring.ts';
import { currentAttempt } from '../../src/scheduler/state/lifecycle.ts';
import type { TaskRecord } from '../../src/scheduler/state/records.ts';
import { StateHistory } from '../../src/scheduler/state-history.ts';
import { MachineDriver, newTask, registration, restoreMachine, taskResult } from './machine-driver.ts';

interface Seen {
  readonly counts: Readonly<Record<TaskStatus, number>>;
  readonly nodes: readonly string[];
  readonly tasks: readonly string[];
}

/** A small generator of its own, so that a failure can be repeated. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Recorded {
  readonly driver: MachineDriver;
  readonly ring = new EventRing();
  readonly history: StateHistory;
  readonly seen = new Map<number, Seen>();
  readonly ids: string[] = [];
  readonly #roll: (below: number) => number;

  constructor(driver: MachineDriver, seed: number) {
    this.driver = driver;
    this.#roll = dice(seed);
    const { machine } = driver;
    this.history = new StateHistory({
      ...{ machine, ring: this.ring, termOf: () => driver.term },
      pause: () => Promise.resolve(),
    });
    machine.observe({
      applied: ({ index, term, events }) => this.#push(index, term, events),
      termStarted: (term, index) => this.#push(index, term, [{ kind: 'leader', id: `server${term}`, term }]),
      restored: (index) => {
        this.ring.reset(index);
        this.history.restored();
      },
    });
  }

  #push(index: number, term: number, events: readonly ClusterEvent[]): void {
    this.ring.push({ index, term, time: new Date(index).toISOString(), events });
    this.history.applied(index, events);
  }

  records(): readonly TaskRecord[] {
    return this.ids.map((id) => this.driver.task(id));
  }

  step(): void {
    const { driver } = this;
    const roll = this.#roll;
    const live = this.records().filter(
      ({ status }) => !['succeeded', 'failed', 'timed_out', 'canceled'].includes(status),
    );
    const task = live[roll(Math.max(1, live.length))];
    const node = `node${roll(3)}`;
    const attempt = task === undefined ? null : currentAttempt(task);
    driver.now += roll(400);
    switch (roll(12)) {
      case 0:
      case 1:
      case 2: {
        const id = `task${String(this.ids.length).padStart(12, '0')}`;
        const after = task !== undefined && roll(4) === 0 ? { after: [task.id] } : {};
        const delay = roll(5) === 0 ? { delayMs: 500 } : {};
        driver.apply({
          op: 'submit',
          atomic: true,
          tasks: [newTask(id, { maxAttempts: 1 + roll(3), backoffMs: roll(2) * 200, ...after, ...delay })],
        });
        this.ids.push(id);
        return;
      }
      case 3:
        driver.apply({ op: 'nodeUp', node: registration(node, { slots: 1 + roll(4) }) });
        return;
      case 4:
        if (roll(3) === 0) driver.apply({ op: 'nodeDown', node, reason: 'gone' });
        else driver.apply({ op: 'drain', node, drain: roll(2) === 0, deadlineMs: null });
        return;
      case 5:
        driver.apply({ op: 'due' });
        return;
      case 6:
        if (roll(4) === 0) driver.newTerm();
        else if (task !== undefined && roll(3) === 0) driver.apply({ op: 'cancel', task: task.id });
        return;
      default:
        break;
    }
    if (task === undefined) return;
    if (attempt === null) {
      driver.apply({ op: 'assign', task: task.id, node, placement: { reason: 'chosen', rows: '' } });
    } else if (attempt.startedAt === null && roll(3) > 0) {
      driver.apply({ op: 'start', task: task.id, token: attempt.token });
    } else if (roll(6) === 0) {
      driver.apply({ op: 'lost', task: task.id, token: attempt.token, reason: 'no longer there' });
    } else {
      const outcomes: readonly FinalStatus[] = ['succeeded', 'failed', 'timed_out', 'canceled'];
      const outcome = outcomes[roll(4)]!;
      const finish = {
        op: 'finish',
        task: task.id,
        token: attempt.token,
        outcome,
        reason: null,
        runMs: 5,
      } as const;
      driver.apply({ ...finish, result: taskResult({ exitCode: outcome === 'succeeded' ? 0 : 1 }) });
    }
  }

  /** Writes down what there is now. */
  note(): void {
    const { state } = this.driver.machine;
    const nodes = [...state.nodes.values()].map((node) => {
      const status = !node.up ? 'down' : node.draining ? 'draining' : 'ready';
      return `${node.id} ${status} ${state.tasks.onNode(node.id).size}/${node.slots}`;
    });
    const tasks = this.records().map((task) => {
      const last = task.attempts.at(-1);
      return `${task.id} ${task.status} ${last?.node ?? null} ${last?.number ?? 0}`;
    });
    this.seen.set(state.appliedIndex, { counts: { ...state.tasks.counts() }, nodes, tasks });
  }
}

function shown(view: StateView): Seen {
  return {
    counts: view.counts,
    nodes: view.nodes.map((node) => `${node.id} ${node.status} ${node.running}/${node.slots}`),
    tasks: view.tasks.map((task) => `${task.id} ${task.status} ${task.node} ${task.attempt}`).toReversed(),
  };
}

async function recorded(seed: number, steps: number): Promise<Recorded> {
  const test = new Recorded(await MachineDriver.create(8), seed);
  for (let step = 0; step < steps; step += 1) {
    test.step();
    test.driver.flush();
    test.note();
  }
  return test;
}

describe('the state at an index', () => {
  it('is what was seen when that index was the last one, for tasks, nodes and counts', async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const test = await recorded(seed, 400);
      assert.ok(test.ids.length > 40);
      for (const [at, seen] of test.seen) {
        const view = await test.history.view({ at, limit: 1_000 });
        assert.deepEqual(shown(view), seen, `seed ${seed}, index ${at}`);
      }
    }
  });

  it('names who led then, and gives pages', async () => {
    const test = await recorded(3, 300);
    const terms = await Promise.all([...test.seen.keys()].map((at) => test.history.view({ at, limit: 1 })));
    const leaders = new Set(terms.map(({ leader }) => leader));
    assert.ok(leaders.size > 2, [...leaders].join(' '));
    const first = await test.history.view({ at: null, limit: 5 });
    assert.equal(first.at, test.driver.machine.state.appliedIndex);
    const second = await test.history.view({ at: null, limit: 5, cursor: first.nextCursor! });
    const all = await test.history.view({ at: null, limit: 10 });
    assert.deepEqual([...first.tasks, ...second.tasks], all.tasks);
  });

  it('begins where the server began to hear of changes, and says so', async () => {
    const test = await recorded(5, 200);
    const { driver } = test;
    driver.flushAll();
    const chunks = await driver.snapshot();
    const base = driver.machine.state.appliedIndex;
    await restoreMachine(driver.machine, base, driver.term, chunks, driver.kv);
    test.seen.clear();
    test.note();
    for (let step = 0; step < 200; step += 1) {
      test.step();
      driver.flush();
      test.note();
    }
    for (const [at, seen] of test.seen) {
      assert.deepEqual(shown(await test.history.view({ at, limit: 1_000 })), seen, `index ${at}`);
    }
    const last = driver.machine.state.appliedIndex;
    const message = `at: ${base - 1} is not kept here, indexes ${base} to ${last} are`;
    await assert.rejects(test.history.view({ at: base - 1, limit: 1 }), { code: 'NOT_FOUND', message });
    await assert.rejects(test.history.view({ at: last + 1, limit: 1 }), { code: 'NOT_FOUND' });
  });
});
