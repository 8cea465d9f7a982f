/** The parts of the loop that wait, each alone, with time made by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProposeResult, ReadBarrierResult } from '../../../src/raft/consensus.ts';
import type { Entry, LogIndex, NodeId, ProposalId, ReadId, Term } from '../../../src/raft/core/types.ts';
import { Applier } from '../../../src/raft/node/applier.ts';
import { DiskWatch } from '../../../src/raft/node/disk-watch.ts';
import { Proposals } from '../../../src/raft/node/proposals.ts';
import { ReadBarriers } from '../../../src/raft/node/read-barriers.ts';
import { Ticker } from '../../../src/raft/node/ticker.ts';
import { ManualTimers } from './manual-timers.ts';
import { WordMachine } from './word-machine.ts';

const at = (index: number): LogIndex => index as LogIndex;
const term = (value: number): Term => value as Term;
const id = (value: number): ProposalId => value as ProposalId;
const command = (index: number, termValue = 1): Entry => ({
  kind: 'command',
  index: at(index),
  term: term(termValue),
  payload: Buffer.from(`word${index}`),
});

describe('the ticker', () => {
  /** `due`: how many ticks from now the next one is that matters; it can be changed. */
  const start = (due: number) => {
    const timers = new ManualTimers();
    const state = { ticks: 0, due };
    const ticker: Ticker = new Ticker({
      timers,
      tickMs: 10,
      stallTicks: 2,
      ticksUntilDue: () => state.due - (state.ticks % state.due),
      onTick: () => (state.ticks += 1),
    });
    ticker.start();
    return { timers, ticker, state };
  };

  it('ticks once per interval, and wakes up only for ticks that are due', () => {
    const { timers, state } = start(5);
    const wakeUps = new Set<number>();
    for (let ms = 0; ms < 1_000; ms++) {
      const before = state.ticks;
      timers.pass(1);
      if (state.ticks > before) wakeUps.add(ms);
    }
    assert.equal(state.ticks, 100);
    assert.equal(wakeUps.size, 20);
  });

  it('makes up before an input for what has passed, but for the tick that is due', () => {
    const { timers, ticker, state } = start(5);
    timers.pass(34);
    ticker.catchUp();
    assert.equal(state.ticks, 3);
    timers.pass(16, 'stalled');
    state.due = 5;
    ticker.catchUp();
    assert.equal(state.ticks, 5, 'the timer has fired meanwhile');
  });

  it('leaves the tick that is due to the timer, though an input comes first', () => {
    const timers = new ManualTimers();
    let ticks = 0;
    const ticker = new Ticker({
      ...{ timers, tickMs: 10, stallTicks: 2, ticksUntilDue: () => 5, onTick: () => (ticks += 1) },
    });
    ticker.start();
    // The timer is armed for 50 ms; an input at that very moment must not see the election time-out before it is heard.
    timers.pass(49);
    ticker.catchUp();
    assert.equal(ticks, 4);
    ticker.catchUp();
    assert.equal(ticks, 4);
    timers.pass(1);
    assert.equal(ticks, 5);
  });

  it('wakes up earlier when something is due earlier', () => {
    const { timers, ticker, state } = start(30);
    timers.pass(15);
    ticker.catchUp();
    state.due = 3;
    ticker.reconsider();
    timers.pass(14);
    assert.equal(state.ticks, 1);
    timers.pass(2);
    assert.equal(state.ticks, 3);
  });

  it('does not fall behind through timers that are a little late', () => {
    const { timers, state } = start(1);
    for (let n = 0; n < 100; n++) timers.pass(13, 'stalled');
    assert.ok(state.ticks >= 129 && state.ticks <= 130, `${state.ticks} ticks in 1300 ms`);
  });

  it('does not count a stall: what was due comes one tick after it', () => {
    const { timers, state } = start(5);
    timers.pass(5_000, 'stalled');
    assert.equal(state.ticks, 4);
    timers.pass(9);
    assert.equal(state.ticks, 4, 'the sockets are read first');
    timers.pass(1);
    assert.equal(state.ticks, 5);
    timers.pass(100);
    assert.equal(state.ticks, 15);
  });

  it('ends, also from within a tick', () => {
    const timers = new ManualTimers();
    let ticks = 0;
    const ticker: Ticker = new Ticker({
      ...{ timers, tickMs: 10, stallTicks: 2, ticksUntilDue: () => 1 },
      onTick: () => {
        ticks += 1;
        if (ticks === 3) ticker.stop();
      },
    });
    ticker.start();
    timers.pass(1_000);
    assert.equal(ticks, 3);
    assert.equal(timers.waiting, 0);
  });
});

describe('the applier', () => {
  const make = (machine = new WordMachine()) => {
    const timers = new ManualTimers();
    const commands = new Proposals<string>(() => undefined);
    const slices: { readonly through: number; readonly entries: number; readonly bytes: number }[] = [];
    const failures: unknown[] = [];
    const applier = new Applier<string>({
      machine,
      commands,
      configs: new Proposals<null>(() => undefined),
      timers,
      sliceMs: 5,
      appliedIndex: at(0),
      onApplied: (through, entries, bytes) => slices.push({ through, entries, bytes }),
      onFailed: (error) => failures.push(error),
    });
    return { timers, machine, commands, slices, failures, applier };
  };

  it('applies what fits into a slice at once, in order', () => {
    const { applier, machine, slices } = make();
    applier.enqueue([{ kind: 'noop', index: at(1), term: term(1) }, command(2), command(3)]);
    assert.deepEqual(machine.words, ['word2', 'word3']);
    assert.deepEqual(machine.termStarts, [1]);
    assert.deepEqual(slices, [{ through: 3, entries: 3, bytes: 10 }]);
  });

  /** Each entry takes that long. */
  const makeSlow = (entryMs: number) => {
    const timers = new ManualTimers();
    const slow = new (class extends WordMachine {
      override apply(...args: Parameters<WordMachine['apply']>): string {
        timers.spend(entryMs);
        return super.apply(...args);
      }
    })();
    const slices: number[] = [];
    const applier = new Applier<string>({
      machine: slow,
      commands: new Proposals<string>(() => undefined),
      configs: new Proposals<null>(() => undefined),
      timers,
      sliceMs: 5,
      appliedIndex: at(0),
      onApplied: (through) => slices.push(through),
      onFailed: (error) => assert.fail(String(error)),
    });
    return { timers, slices, applier };
  };

  it('lets other events have their turn when applying takes long', () => {
    const { timers, slices, applier } = makeSlow(1);
    applier.enqueue(Array.from({ length: 40 }, (_, n) => command(n + 1)));
    assert.deepEqual(slices, [16]);
    applier.enqueue([command(41)]);
    assert.deepEqual(slices, [16], 'what comes meanwhile waits for its turn');
    timers.turn();
    timers.turn();
    assert.deepEqual(slices, [16, 32, 41]);
  });

  it('applies large entries one by one if each takes long', () => {
    const { timers, slices, applier } = makeSlow(50);
    const payload = new Uint8Array(500_000);
    applier.enqueue([1, 2, 3].map((index) => ({ ...command(index), payload })));
    assert.deepEqual(slices, [1]);
    timers.turn();
    timers.turn();
    assert.deepEqual(slices, [1, 2, 3]);
  });

  it('stops for good when the state machine throws', () => {
    const broken = new (class extends WordMachine {
      override apply(): string {
        throw new Error('a bug');
      }
    })();
    const { applier, failures, slices, timers } = make(broken);
    applier.enqueue([command(1), command(2)]);
    applier.enqueue([command(3)]);
    timers.turn();
    assert.equal(failures.length, 1);
    assert.deepEqual(slices, []);
  });

  it('refuses a gap', () => {
    const { applier, failures } = make();
    applier.enqueue([command(2)]);
    assert.match(String(failures[0]), /entry 2 cannot be applied after 0/);
  });

  it('goes on behind an installed snapshot, without what it covers', () => {
    const { applier, machine, timers } = make();
    applier.enqueue([command(1)]);
    applier.freeze();
    applier.enqueue([command(2), command(3)]);
    applier.enqueue([command(4)]);
    assert.deepEqual(machine.words, ['word1']);
    applier.resumeAfter(at(3));
    timers.turn();
    assert.deepEqual(machine.words, ['word1', 'word4']);
    assert.equal(applier.appliedIndex, 4);
  });
});

describe('the disk watch', () => {
  it('says once that space is low, and that there is room again only with some to spare', async () => {
    const timers = new ManualTimers();
    let free: number | Error = 1_000;
    let lows = 0;
    const lines: string[] = [];
    const note = (line: string): void => void lines.push(line);
    const watch = new DiskWatch({
      timers,
      freeBytes: () => (free instanceof Error ? Promise.reject(free) : Promise.resolve(free)),
      minBytes: 500,
      everyMs: 10,
      log: { info: note, warn: note, error: note },
      onLow: () => lows++,
    });
    const look = async (bytes: number | Error): Promise<boolean> => {
      free = bytes;
      timers.pass(10);
      await new Promise((resolve) => setImmediate(resolve));
      return watch.isLow;
    };
    watch.start();
    assert.equal(await look(600), false);
    assert.equal(await look(499), true);
    assert.equal(await look(550), true);
    assert.equal(await look(new Error('stale handle')), true);
    assert.equal(await look(700), false);
    assert.equal(await look(100), true);
    assert.equal(lows, 3, 'at both edges, and once more while it was low');
    for (let looks = 0; looks < 200; looks += 1) await look(100);
    assert.equal(lows, 3 + 8, 'ever more rarely: after 1, 2, 4, … 64 looks');
    assert.equal(lines.filter((line) => line.includes('are free (minimum')).length, 2);
    assert.match(lines.join(), /only 499 bytes.*stale handle.*700 bytes of disk are free again/);
    watch.stop();
    assert.equal(await look(1_000), true);
    assert.equal(timers.waiting, 0);
  });
});

describe('proposals', () => {
  const kinds = async (results: readonly Promise<ProposeResult<string>>[]): Promise<string[]> =>
    (await Promise.all(results)).map((result) => result.kind);

  it('end with the result of the entry they became, and with how long it took', async () => {
    const seconds: number[] = [];
    const proposals = new Proposals<string>((value) => seconds.push(value));
    const result = proposals.add(id(1), 1_000);
    proposals.outcome(id(1), { kind: 'appended', index: at(7), term: term(2) });
    proposals.applied(at(7), term(2), 'done', 1_250);
    assert.deepEqual(await result, { kind: 'applied', index: 7, term: 2, result: 'done' });
    assert.deepEqual(seconds, [0.25]);
    assert.equal(proposals.count, 0);
  });

  it('end as refused where the core refuses', async () => {
    const proposals = new Proposals<string>(() => undefined);
    const results = [proposals.add(id(1), 0), proposals.add(id(2), 0)];
    proposals.outcome(id(1), { kind: 'notLeader', leader: 'server2' as NodeId });
    proposals.outcome(id(2), { kind: 'overloaded', limit: 'uncommittedBytesMax' });
    assert.deepEqual(await kinds(results), ['notLeader', 'overloaded']);
  });

  it('end as unknown, never as failed, when the lead is lost, another entry takes the place, a snapshot covers it or the node ends', async () => {
    const proposals = new Proposals<string>(() => undefined);
    const results = [1, 2, 3, 4, 5].map((n) => proposals.add(id(n), 0));
    for (const n of [1, 2, 3, 4]) proposals.outcome(id(n), { kind: 'appended', index: at(n), term: term(1) });
    proposals.unknown([id(1), id(99)], 'lost');
    proposals.applied(at(2), term(2), 'another', 0);
    proposals.skipped(at(3));
    assert.equal(proposals.count, 2);
    proposals.endAll('stopped');
    assert.deepEqual(await kinds(results), ['unknown', 'unknown', 'unknown', 'unknown', 'unknown']);
    assert.equal(proposals.count, 0);
  });
});

describe('read barriers', () => {
  const make = () => {
    const timers = new ManualTimers();
    const asked: ReadId[] = [];
    let applied = at(10);
    const barriers = new ReadBarriers({
      timers,
      timeoutMs: 1_000,
      ask: (readId) => asked.push(readId),
      appliedIndex: () => applied,
    });
    return {
      timers,
      asked,
      barriers,
      apply: (index: number) => {
        applied = at(index);
        barriers.applied(at(index));
      },
    };
  };
  /** What a promise has come to by now. */
  const now = async (promise: Promise<ReadBarrierResult>): Promise<string> =>
    Promise.race([
      promise.then((result) => result.kind),
      new Promise<string>((resolve) => setImmediate(() => resolve('pending'))),
    ]);

  it('of one turn share one question', async () => {
    const { timers, asked, barriers } = make();
    const results = [barriers.wait(), barriers.wait(), barriers.wait()];
    timers.turn();
    const later = barriers.wait();
    timers.turn();
    assert.equal(asked.length, 2);
    barriers.ready(asked[0]!, at(5));
    assert.deepEqual(
      await Promise.all(results),
      [5, 5, 5].map((index) => ({ kind: 'ready', index })),
    );
    assert.equal(await now(later), 'pending');
    barriers.endAll('over');
  });

  it('wait until the state machine has applied what they must see', async () => {
    const { timers, asked, barriers, apply } = make();
    const result = barriers.wait();
    timers.turn();
    barriers.ready(asked[0]!, at(12));
    apply(11);
    assert.equal(await now(result), 'pending');
    apply(12);
    assert.equal(await now(result), 'ready');
    assert.equal(timers.waiting, 0);
  });

  it('fail with the leader known, and end as unknown when no answer comes, or none is applied, in time', async () => {
    const { timers, asked, barriers } = make();
    const refused = barriers.wait();
    timers.turn();
    barriers.failed(asked[0]!, 'server2' as NodeId);
    assert.deepEqual(await refused, { kind: 'notLeader', leader: 'server2' });
    const unanswered = barriers.wait();
    timers.turn();
    const unapplied = barriers.wait();
    timers.turn();
    barriers.ready(asked[2]!, at(99));
    timers.pass(1_000);
    assert.equal((await unanswered).kind, 'unknown');
    assert.equal((await unapplied).kind, 'unknown');
    barriers.ready(asked[1]!, at(1));
  });

  it('end as unknown with the node', async () => {
    const { timers, barriers } = make();
    const asked = barriers.wait();
    timers.turn();
    const gathering = barriers.wait();
    barriers.endAll('stopped');
    timers.turn();
    assert.deepEqual(await Promise.all([asked, gathering].map(async (result) => (await result).kind)), [
      'unknown',
      'unknown',
    ]);
  });
});
