/** What the page asks the cluster for, and when: over a server in memory, with time turned by hand. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { harness, taskEvent } from './harness.ts';
import { node, result, task } from './tasks.ts';

const LIST = /^GET \/v1\/tasks\?limit=50/;
const ONE = /^GET \/v1\/tasks\/[^/]+$/;

describe('the page', () => {
  it('shows tasks, nodes and the master once it is open', async () => {
    const { state } = await harness({ tasks: [task(1), task(2)] });
    assert.equal(state().list.rows.length, 2);
    assert.equal(state().board.entries.length, 4);
    assert.equal(state().leader, 'server1');
    assert.equal(state().term, 3);
    assert.equal(state().feed, 'open');
  });

  it('fetches the one task that an event tells of, and shows its result by itself', async () => {
    const { server, clock, event, state } = await harness({ tasks: [task(1)] });
    server.calls.length = 0;
    const done = server.put(task(1, { status: 'succeeded', result: result('7\n') }));
    event(taskEvent(done));
    await clock.pass(150);
    assert.equal(state().list.rows[0]?.status, 'succeeded', 'announced');
    await clock.pass(1_000);
    assert.equal(state().list.rows[0]?.result?.streams?.stdout.text, '7\n');
    assert.deepEqual(server.callsTo(ONE), [`GET /v1/tasks/${done.id}`]);
    assert.deepEqual(server.callsTo(LIST), []);
  });

  it('shows a task that somebody else has sent', async () => {
    const { server, clock, event, state } = await harness({ tasks: [task(1)] });
    event(taskEvent(server.put(task(2))));
    await clock.pass(1_000);
    assert.equal(state().list.rows[0]?.id, task(2).id);
    assert.equal(state().list.counts.queued, 2);
  });

  it('asks a few times a second while 200 events a second come in', async () => {
    const { server, clock, event, state } = await harness();
    server.calls.length = 0;
    for (let number = 1; number <= 1_000; number += 1) {
      event(taskEvent(server.put(task(number))));
      await clock.pass(5);
    }
    await clock.pass(1_000);
    const perSecond = server.calls.length / 6;
    assert.ok(perSecond < 5, `${String(perSecond)} calls a second`);
    assert.equal(state().list.rows[0]?.id, task(1_000).id, 'and is up to date in the end');
    assert.ok(state().list.rows.length <= 500);
  });

  it('fetches changed rows below the first page too, and leaves the others alone', async () => {
    const tasks = Array.from({ length: 90 }, (_, at) => task(at + 1));
    const { server, clock, event, state, actions } = await harness({ tasks });
    await actions.loadOlder();
    assert.equal(state().list.rows.length, 90);
    server.calls.length = 0;
    for (const number of [3, 4, 5, 6]) event(taskEvent(server.put(task(number, { status: 'failed' }))));
    await clock.pass(5_000);
    const failed = state().list.rows.filter((row) => row.status === 'failed' && row.payload !== null);
    assert.equal(failed.length, 4);
    assert.ok(server.callsTo(ONE).length <= 5, server.callsTo(ONE).join('\n'));
  });
});

describe('the page without its stream of events', () => {
  it('asks every two seconds, and stops asking when the stream is back', async () => {
    const { server, clock, source, event, state } = await harness({ tasks: [task(1)] });
    event();
    source().drop();
    server.calls.length = 0;
    await clock.pass(10_000);
    const polls = server.callsTo(LIST).length;
    assert.ok(polls >= 5 && polls <= 6, String(polls));
    assert.equal(state().feed, 'down');
    source().open();
    await clock.pass(3_000);
    server.calls.length = 0;
    await clock.pass(10_000);
    assert.equal(server.callsTo(LIST).length, 0);
  });

  it('fetches everything after a reset', async () => {
    const { server, clock, source, state } = await harness({ tasks: [task(1)] });
    server.put(task(2));
    source().reset();
    await clock.pass(1_000);
    assert.equal(state().list.rows.length, 2);
  });

  it('opens another stream where the open one brings nothing while the cluster goes on', async () => {
    const { server, clock, sources, state } = await harness({ tasks: [task(1)] });
    server.put(task(1, { status: 'running' }));
    await clock.pass(30_000);
    assert.ok(sources.length >= 2, 'the silent stream was left');
    assert.equal(state().list.rows[0]?.status, 'running', 'and what it had kept back is shown');
  });

  it('leaves a stream alone in which there is nothing to tell', async () => {
    const { clock, sources, server } = await harness({ tasks: [task(1)] });
    server.index += 5;
    await clock.pass(60_000);
    assert.equal(sources.length, 1);
  });

  it('is calm while nobody answers, and catches up by itself', async () => {
    const { server, clock, source, state } = await harness({ tasks: [task(1)] });
    server.trouble = () => 'no answer';
    source().drop();
    server.calls.length = 0;
    await clock.pass(20_000);
    assert.ok(server.calls.length <= 60, `${String(server.calls.length)} calls in 20 s`);
    server.trouble = () => null;
    server.put(task(2));
    await clock.pass(3_000);
    assert.equal(state().list.rows.length, 2);
    assert.equal(state().listFailure, null);
  });
});

describe('the page while the cluster has trouble', () => {
  it('shows what one server has where there is no majority, and says so', async () => {
    const { server, clock, state } = await harness({ tasks: [task(1)] });
    server.trouble = (call) =>
      /\/v1\/(tasks|nodes)/.test(call) && !call.includes('stale') ? 'NO_QUORUM' : null;
    server.leader = null;
    await clock.pass(3_000);
    assert.equal(state().board.stale, true);
    assert.equal(state().leader, null);
    server.trouble = () => null;
    server.leader = 'server1';
    await clock.pass(3_000);
    assert.equal(state().board.stale, false);
    assert.equal(state().leader, 'server1');
  });

  it('asks for the list again after an old one, though no event says that a majority is back', async () => {
    const { server, clock, event, state } = await harness({ tasks: [task(1), task(2), task(3), task(4)] });
    server.trouble = (call) => (call.includes('/v1/tasks') && !call.includes('stale') ? 'NO_QUORUM' : null);
    event(...[...server.tasks.values()].map((each) => taskEvent(each)));
    await clock.pass(1_000);
    assert.equal(state().list.stale, true);
    server.trouble = () => null;
    await clock.pass(3_000);
    assert.equal(state().list.stale, false);
    server.calls.length = 0;
    await clock.pass(10_000);
    assert.deepEqual(server.callsTo(LIST), [], 'and then no more');
  });

  it('remembers elections that no event told of, whatever view is open', async () => {
    const { server, clock, state } = await harness();
    assert.deepEqual(state().raft.spells, [{ term: 3, leader: 'server1', since: null }]);
    Object.assign(server, { leader: 'server2', term: 4 });
    await clock.pass(2_000);
    assert.deepEqual(
      state().raft.spells.map(({ term, leader }) => `${term} ${leader}`),
      ['4 server2', '3 server1'],
    );
  });

  it('moves the crown when an event tells of a new master', async () => {
    const { event, state } = await harness();
    event({ kind: 'leader', id: 'server3', term: 9 });
    assert.equal(state().leader, 'server3');
    assert.equal(state().raft.spells[0]?.term, 9, 'whatever view is open');
    assert.equal(state().term, 9);
    const crowned = state().board.entries.filter((entry) => entry.view.leader);
    assert.deepEqual(
      crowned.map((entry) => entry.view.id),
      ['server3'],
    );
  });

  it('asks about the nodes soon after an event tells of one', async () => {
    const { server, clock, event, state } = await harness();
    server.nodes = server.nodes.map((each) =>
      each.id === 'worker1' ? node('worker1', { status: 'down' }) : each,
    );
    event({ kind: 'node', id: 'worker1', status: 'down' });
    await clock.pass(1_100);
    assert.equal(state().board.entries.at(-1)?.view.status, 'down');
  });

  it('falls silent and asks for the token on 401, and goes on after signing in', async () => {
    const { server, clock, state, actions, sources } = await harness({ tasks: [task(1)] });
    server.trouble = (call) => (call.includes('/login') ? null : 'UNAUTHORIZED');
    await clock.pass(3_000);
    assert.equal(state().session, 'out');
    server.calls.length = 0;
    await clock.pass(60_000);
    assert.deepEqual(server.calls, []);
    server.trouble = () => null;
    server.put(task(2));
    await actions.signIn('the token');
    await clock.pass(1_000);
    assert.equal(state().session, 'in');
    assert.equal(state().list.rows.length, 2);
    assert.equal(sources.length, 2);
  });

  it('says what is wrong with a token', async () => {
    const { server, state, actions } = await harness();
    server.trouble = () => 'UNAUTHORIZED';
    await actions.signIn('wrong');
    assert.match(state().signIn.problem ?? '', /not the token/);
  });
});

describe('the page of a task', () => {
  it('follows the task and fetches its timeline when it has changed', async () => {
    const { server, clock, live, event, state } = await harness({ tasks: [task(1)] });
    live.openDetail(task(1).id);
    await clock.pass(1_000);
    assert.equal(state().detail?.task?.script, 'print(1)\n');
    assert.equal(server.callsTo(/\/events$/).length, 1);
    event(taskEvent(server.put(task(1, { status: 'running' }))));
    await clock.pass(1_000);
    assert.equal(state().detail?.task?.status, 'running');
    assert.equal(server.callsTo(/\/events$/).length, 2);
  });

  it('says that there is no such task, without asking for ever', async () => {
    const { server, clock, live, state } = await harness();
    live.openDetail('nothing-of-that-name');
    await clock.pass(1_000);
    assert.equal(state().detail?.failure?.code, 'NOT_FOUND');
    server.calls.length = 0;
    await clock.pass(10_000);
    assert.deepEqual(server.callsTo(ONE), []);
  });
});
