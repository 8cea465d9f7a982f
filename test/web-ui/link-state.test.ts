import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { CUT_OFF_MS, linkState, QUIET_MS } from '../../src/web/ui/src/model/link-state.ts';
import type { LinkFacts } from '../../src/web/ui/src/model/link-state.ts';

const NOW = 1_800_000_000_000;
const live: LinkFacts = { feed: 'open', lastContactMs: NOW - 500, behind: false, stale: false };

function kind(facts: Partial<LinkFacts>, startedMs = NOW - 60_000): string {
  return linkState({ ...live, ...facts }, NOW, startedMs).kind;
}

describe('the live indicator', () => {
  it('says live only with an open stream and a recent answer', () => {
    assert.equal(kind({}), 'live');
    assert.equal(kind({ feed: 'down' }), 'reconnecting');
    assert.equal(kind({ feed: 'connecting' }), 'reconnecting');
    assert.equal(kind({ lastContactMs: NOW - QUIET_MS - 1 }), 'reconnecting');
  });

  it('says behind when the stream lacks what other answers show', () => {
    assert.equal(kind({ behind: true }), 'behind');
  });

  it('does not call old data live', () => {
    assert.equal(kind({ stale: true }), 'stale');
  });

  it('says cut off after a while without any answer, open stream or not', () => {
    assert.equal(kind({ lastContactMs: NOW - CUT_OFF_MS - 1 }), 'cut-off');
    assert.equal(kind({ feed: 'down', lastContactMs: NOW - CUT_OFF_MS - 1 }), 'cut-off');
  });

  it('gives a page that just opened some time before it complains', () => {
    assert.equal(kind({ lastContactMs: null }, NOW - 1_000), 'connecting');
    assert.equal(kind({ lastContactMs: null }, NOW - CUT_OFF_MS - 1), 'cut-off');
  });
});
