/** The picture of the replicated log: what is drawn from what servers say of themselves. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { RaftLogEntryView, RaftView } from '../../src/api/views.ts';
import * as boards from '../../src/web/ui/src/model/raft-board.ts';
import type { RaftBoard } from '../../src/web/ui/src/model/raft-board.ts';

function view(id: string, change: Partial<RaftView> = {}): RaftView {
  return {
    id,
    role: 'follower',
    term: 3,
    votedFor: null,
    leader: 'server1',
    leaderSince: '2026-11-22T18:00:01.000Z',
    firstIndex: 1,
    lastIndex: 100,
    commitIndex: 100,
    appliedIndex: 100,
    snapshotIndex: 0,
    voters: ['server1', 'server2', 'server3'],
    learners: [],
    peers: {},
    ...change,
  };
}

function board(...views: readonly RaftView[]): RaftBoard {
  const met = boards.withServers(
    boards.EMPTY_RAFT_BOARD,
    views.map(({ id }) => id),
  );
  return views.reduce((now, each) => boards.withView(now, each), met);
}

function entry(index: number, term = 3, data: unknown = []): RaftLogEntryView {
  return { index, term, kind: 'command', time: null, data };
}

describe('the picture of the replicated log', () => {
  it('tells an entry that is applied, committed, only appended, compacted or not there', () => {
    const server = view('a', { firstIndex: 50, appliedIndex: 90, commitIndex: 95, lastIndex: 98 });
    const states = [49, 90, 95, 98, 99].map((index) => boards.cellState(server, index));
    assert.deepEqual(states, ['compacted', 'applied', 'committed', 'appended', 'none']);
  });

  it('shows the newest entries that any server has', () => {
    const indexes = boards.shownIndexes(board(view('server1', { lastIndex: 104 }), view('server2')));
    assert.equal(indexes.at(-1), 104);
    assert.equal(indexes.length, boards.ENTRIES_SHOWN);
    assert.deepEqual(boards.shownIndexes(board(view('server1', { lastIndex: 2 }))), [1, 2]);
  });

  it('takes the highest term for the master, not an old one that has not noticed', () => {
    const old = view('server1', { role: 'leader', term: 3 });
    const now = board(old, view('server2', { role: 'leader', term: 4, leader: 'server2' }));
    assert.equal(boards.leaderOf(now)?.id, 'server2');
    assert.equal(boards.leaderOf(boards.withProblem(now, 'server2', 'stopped'))?.id, 'server1');
  });

  it('counts the lag as the master does, else against the longest log', () => {
    const peers = { server2: { matchIndex: 93, lag: 7, lastContactMs: 10 } };
    const led = board(view('server1', { role: 'leader', peers }), view('server2', { lastIndex: 99 }));
    assert.equal(boards.lagOf(led, led.servers[1]!), 7);
    assert.equal(boards.lagOf(led, led.servers[0]!), 0);
    const headless = board(view('server1'), view('server2', { lastIndex: 96 }));
    assert.equal(boards.lagOf(headless, headless.servers[1]!), 4);
  });

  it('keeps what a silent server said last', () => {
    const silent = boards.withProblem(board(view('server1')), 'server1', 'does not answer').servers[0];
    assert.equal(silent?.view?.lastIndex, 100);
    assert.equal(silent.problem, 'does not answer');
  });

  it('remembers who led in which term, newest first, by the word of the leader itself', () => {
    const own = '2026-11-22T18:00:00.000Z';
    const now = board(
      view('server2', { term: 2, leader: 'server3', leaderSince: own }),
      view('server3'),
      view('server1', { role: 'leader', leaderSince: own }),
    );
    assert.deepEqual(now.spells, [
      { term: 3, leader: 'server1', since: own },
      { term: 2, leader: 'server3', since: own },
    ]);
  });

  it('remembers elections that were only heard of, until the leader tells the time of its own', () => {
    const heard = '2026-11-22T18:00:01.000Z';
    const own = '2026-11-22T18:00:00.400Z';
    const first = boards.withElected(board(view('server1')), 'server2', 5, heard);
    const both = boards.withElected(boards.withElected(first, 'server2', 5, own), 'server1', 6, heard);
    assert.deepEqual(both.spells.slice(0, 2), [
      { term: 6, leader: 'server1', since: heard },
      { term: 5, leader: 'server2', since: heard },
    ]);
    const told = boards.withView(both, view('server1', { term: 6, role: 'leader', leaderSince: own }));
    assert.deepEqual(told.spells[0], { term: 6, leader: 'server1', since: own });
  });
});

describe('the newest entries', () => {
  it('are asked for only as far as they are not known', () => {
    const leader = view('server1', { role: 'leader' });
    const none = board(leader);
    assert.deepEqual(boards.missingEntries(none, leader), { from: 69, to: 100 });
    const known = boards.withEntries(none, [entry(99), entry(100)]);
    assert.equal(boards.missingEntries(known, leader), null);
    assert.deepEqual(boards.missingEntries(known, view('server1', { lastIndex: 102 })), {
      from: 101,
      to: 102,
    });
  });

  it('of another term are asked for anew, since a new master may have replaced some', () => {
    const known = boards.withEntries(board(view('server1')), [entry(99), entry(100)]);
    assert.deepEqual(boards.missingEntries(known, view('server2', { term: 4, lastIndex: 100 })), {
      from: 69,
      to: 100,
    });
    const replaced = boards.withEntries(known, [entry(100, 4)]);
    assert.deepEqual(
      replaced.entries.map(({ index, term }) => [index, term]),
      [
        [99, 3],
        [100, 4],
      ],
    );
  });

  it('are kept without holes, and not more than are shown', () => {
    const known = boards.withEntries(board(view('server1')), [entry(5)]);
    assert.deepEqual(
      boards.withEntries(known, [entry(9)]).entries.map(({ index }) => index),
      [9],
    );
    const many = Array.from({ length: 80 }, (_, at) => entry(at + 6));
    assert.equal(boards.withEntries(known, many).entries.length, boards.ENTRIES_SHOWN);
  });

  it('say in a few words what they do, whatever they carry', () => {
    const said = (data: unknown): string => boards.describeEntry(entry(1, 1, data));
    const submitted = { op: 'submit', tasks: [{ id: 'abcdefghijklmnop' }] };
    assert.equal(
      said([submitted, { op: 'assign', task: 'abcdefghijklmnop', node: 'server3' }]),
      'submit abcdefghij, assign abcdefghij → server3',
    );
    assert.equal(said([{ op: 'submit', tasks: Array.from({ length: 40 }, () => ({})) }]), 'submit 40 tasks');
    assert.equal(said([{ op: 'nodeUp', node: { id: 'worker1' } }]), 'nodeUp worker1');
    assert.equal(said([{ op: 'finish', task: 't1', outcome: 'failed' }]), 'finish t1: failed');
    assert.equal(said(Array.from({ length: 5 }, () => ({ op: 'x' }))), 'x, x, x, 2 more');
    assert.equal(said([null, 7, { what: 1 }]), '?, ?, ?');
    assert.equal(boards.describeEntry({ ...entry(1), kind: 'noop' }), 'a new master begins its term');
  });
});
