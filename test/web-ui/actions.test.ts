import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { harness, taskEvent } from './harness.ts';
import { result, task } from './tasks.ts';

const SUBMIT = /^POST \/v1\/tasks$/;

describe('Generate Payload and Send Payload', () => {
  it('fill the form, send it once, clear it and show the task', async () => {
    const { server, clock, actions, state } = await harness();
    actions.generate();
    assert.match(state().draft.script, /^import time/);
    const sent = actions.submit();
    assert.equal(state().send.kind, 'sending');
    void actions.submit();
    await sent;
    await clock.pass(100);
    assert.equal(server.callsTo(SUBMIT).length, 1, 'a second press sends nothing');
    assert.equal(state().draft.script, '');
    assert.equal(state().send.kind, 'sent');
    assert.match(state().list.rows[0]?.payload?.text ?? '', /^import time/);
  });

  it('keep the text and name the field where it is refused', async () => {
    const { server, actions, state } = await harness();
    server.trouble = () => 'INVALID';
    actions.edit('script', 'print(1)');
    await actions.submit();
    const { send, draft } = state();
    assert.equal(send.kind, 'refused');
    assert.match(send.message, /INVALID/);
    assert.equal(draft.script, 'print(1)');
    actions.edit('script', 'print(2)');
    assert.equal(state().send.kind, 'idle', 'an edit takes the message away');
  });

  it('say what is missing without asking the server', async () => {
    const { server, actions, state } = await harness();
    await actions.submit();
    const { send } = state();
    assert.equal(send.kind === 'refused' ? send.field : null, 'script');
    assert.deepEqual(server.callsTo(SUBMIT), []);
  });

  it('give two payloads of the same text two keys: they are two tasks', async () => {
    const { server, clock, actions } = await harness();
    for (let round = 0; round < 2; round += 1) {
      actions.edit('script', 'print(1)');
      await actions.submit();
      await clock.pass(10);
    }
    assert.equal(new Set(server.keys).size, 2);
  });

  it('use the same key when sent again after a lost answer', async () => {
    const { server, clock, actions, state } = await harness();
    server.trouble = (call) => (SUBMIT.test(call) ? 'no answer' : null);
    actions.edit('script', 'print(1)');
    const sent = actions.submit();
    await clock.pass(90_000);
    await sent;
    assert.equal(state().send.kind, 'refused');
    server.trouble = () => null;
    await actions.submit();
    assert.equal(state().send.kind, 'sent');
    assert.equal(new Set(server.keys).size, 1);
  });

  it('use another key once the text is another one', async () => {
    const { server, clock, actions } = await harness();
    server.trouble = (call) => (SUBMIT.test(call) ? 'no answer' : null);
    actions.edit('script', 'print(1)');
    const sent = actions.submit();
    await clock.pass(90_000);
    await sent;
    server.trouble = () => null;
    actions.edit('script', 'print(2)');
    await actions.submit();
    assert.equal(new Set(server.keys).size, 2);
  });

  it('keep text and key over a reload while the outcome is open, and forget the key after it', async () => {
    const first = await harness();
    first.server.trouble = () => 'no answer';
    first.actions.edit('script', 'print(1)');
    const sent = first.actions.submit();
    await first.clock.pass(90_000);
    await sent;
    const kept = first.kept.at(-1);
    assert.equal(kept?.draft.script, 'print(1)');
    assert.ok(kept.pending);

    const second = await harness({ pending: kept.pending });
    second.actions.edit('script', kept.draft.script);
    await second.actions.submit();
    assert.deepEqual(second.server.keys, [kept.pending.key]);
    assert.equal(second.kept.at(-1)?.pending, null);
  });

  it('can be told to stop trying', async () => {
    const { server, clock, actions, state } = await harness();
    server.trouble = (call) => (SUBMIT.test(call) ? 'NO_QUORUM' : null);
    actions.edit('script', 'print(1)');
    const sent = actions.submit();
    await clock.pass(1_000);
    const { send } = state();
    assert.equal(send.kind === 'sending' ? send.reason : null, 'it is NO_QUORUM');
    actions.giveUp();
    await sent;
    assert.equal(state().send.kind, 'refused');
  });

  it('do not throw away what was typed while the answer was under way', async () => {
    const { actions, state } = await harness();
    actions.edit('script', 'print(1)');
    const sent = actions.submit();
    actions.edit('script', 'print(2)');
    await sent;
    assert.equal(state().draft.script, 'print(2)');
  });

  it('tell screen readers how a payload sent from here has ended', async () => {
    const { server, clock, actions, event, state } = await harness();
    actions.edit('script', 'print(7)');
    await actions.submit();
    const [row] = state().list.rows;
    assert.ok(row);
    const sent = server.tasks.get(row.id) ?? assert.fail();
    event(taskEvent(server.put({ ...sent, status: 'succeeded', result: result('7\n') })));
    await clock.pass(2_000);
    assert.match(state().announcement, /^Payload \S+ succeeded: 7$/);
  });
});

describe('Stop and Start', () => {
  it('show at once what was asked for', async () => {
    const { server, actions, state } = await harness();
    await actions.setStopped('server1', true);
    assert.deepEqual(server.callsTo(/stop$/), ['POST /v1/nodes/server1/stop']);
    const entry = state().board.entries.find((each) => each.view.id === 'server1');
    assert.equal(entry?.intent?.want, 'stopped');
  });

  it('are taken away with the reason where fault injection is off', async () => {
    const { server, actions, state } = await harness();
    server.trouble = (call) => (call.endsWith('/stop') ? 'FORBIDDEN' : null);
    await actions.setStopped('server1', true);
    assert.equal(state().stopRefused, 'it is FORBIDDEN');
  });

  it('show at the node what went wrong, until the next press', async () => {
    const { server, actions, state } = await harness();
    server.trouble = (call) => (call.endsWith('/stop') ? 'UNAVAILABLE' : null);
    await actions.setStopped('worker1', false);
    assert.deepEqual(state().nodeProblems, { worker1: 'it is UNAVAILABLE' });
    server.trouble = () => null;
    await actions.setStopped('worker1', false);
    assert.deepEqual(state().nodeProblems, {});
  });
});

describe('the list', () => {
  it('is fetched anew for another filter', async () => {
    const tasks = [task(1), task(2, { status: 'failed' })];
    const { clock, actions, state } = await harness({ tasks });
    actions.setFilter({ status: 'failed', q: '', cursor: null });
    assert.deepEqual(state().list.rows, []);
    await clock.pass(1_000);
    assert.deepEqual(
      state().list.rows.map((row) => row.id),
      [task(2).id],
    );
  });

  it('gets older rows once, however often it is asked for them', async () => {
    const tasks = Array.from({ length: 70 }, (_, at) => task(at + 1));
    const { server, actions, state } = await harness({ tasks });
    await Promise.all([actions.loadOlder(), actions.loadOlder()]);
    assert.equal(state().list.rows.length, 70);
    assert.equal(state().list.nextCursor, null);
    assert.equal(server.callsTo(/cursor=/).length, 1);
  });

  it('shows why older rows could not be fetched', async () => {
    const tasks = Array.from({ length: 70 }, (_, at) => task(at + 1));
    const { server, actions, state } = await harness({ tasks });
    server.trouble = () => 'INTERNAL';
    await actions.loadOlder();
    assert.equal(state().listFailure?.code, 'INTERNAL');
    assert.equal(state().loadingOlder, false);
  });
});

describe('a task', () => {
  it('is repeated as a new one', async () => {
    const { actions, live, state } = await harness({ tasks: [task(1, { status: 'failed' })] });
    live.openDetail(task(1).id);
    const id = await actions.retry(task(1).id);
    assert.equal(state().list.rows[0]?.id, id);
    assert.equal(state().list.rows.length, 2);
  });

  it('says why it cannot be canceled', async () => {
    const { server, actions, live, state } = await harness({ tasks: [task(1)] });
    live.openDetail(task(1).id);
    server.trouble = (call) => (call.endsWith('/cancel') ? 'CONFLICT' : null);
    await actions.cancel(task(1).id);
    const action = state().detail?.action;
    assert.equal(action?.kind === 'failed' ? action.failure.code : null, 'CONFLICT');
  });
});
