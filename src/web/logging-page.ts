import type { LogLine } from '../api/log.ts';
import { escapeHtml, page } from './page.ts';
import type { Page } from './page.ts';

const STYLE = `
body { display: flex; flex-direction: column; height: 100vh; height: 100dvh; }
header { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; padding: .6rem 1rem;
  border-bottom: 1px solid var(--line); background: var(--panel); }
h1 { display: flex; align-items: center; gap: .6rem; font-size: 1.05rem; margin: 0; }
h1::before { content: ''; width: 14px; height: 14px; border-radius: 4px; background: var(--accent); }
h1 small { color: var(--muted); font-size: .85rem; font-weight: 400; }
#filter { flex: 1 1 12rem; max-width: 28rem; }
#state { margin-left: auto; color: var(--warn); font-size: .85rem; }
#state.live { color: var(--good); }
main { flex: 1; display: flex; min-height: 0; max-width: none; padding: 0; }
#lines { flex: 1; min-width: 0; margin: 0; padding: .6rem 1rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.6 ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace; }
#lines div { padding-left: .6rem; border-left: 2px solid transparent; }
#lines div:hover { border-left-color: var(--line-strong); }
#lines .bad { border-left-color: var(--bad); color: var(--bad); }
#lines .good { border-left-color: var(--good); color: var(--good); }
#lines .lead { border-left-color: var(--warn); color: var(--warn); }
#lines div[hidden] { display: none; }
`;

// Plain script of the page, kept small: it has no build step. Lines come as text nodes, never as HTML.
const SCRIPT = `
'use strict';
const KEPT_MAX = 5000;
const box = document.getElementById('lines'), filter = document.getElementById('filter');
const state = document.getElementById('state'), follow = document.getElementById('follow');
const toneOf = (text) => /CRASH :\\(|has crashed|Fault injected/.test(text) ? 'bad' :
  /RECOVERED :\\)|Fault ended/.test(text) ? 'good' : /Is master/.test(text) ? 'lead' : '';
const shows = (text) => text.toLowerCase().includes(filter.value.toLowerCase());
const toEnd = () => { if (follow.checked) box.scrollTop = box.scrollHeight; };
const apply = () => { for (const row of box.children) row.hidden = !shows(row.textContent); toEnd(); };
filter.addEventListener('input', apply);
follow.addEventListener('change', toEnd);
box.addEventListener('scroll', () => {
  follow.checked = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
});
let pending = [];
const flush = () => {
  const rows = document.createDocumentFragment();
  for (const line of pending.slice(-KEPT_MAX)) {
    const row = document.createElement('div');
    row.textContent = line.text; row.className = toneOf(line.text); row.title = line.at; row.hidden = !shows(line.text);
    rows.append(row);
  }
  pending = [];
  box.append(rows);
  while (box.children.length > KEPT_MAX) box.firstChild.remove();
  toEnd();
};
const source = new EventSource('/logging/stream?after=' + encodeURIComponent(box.dataset.cursor));
source.onopen = () => { state.textContent = 'live'; state.className = 'live'; };
source.onerror = () => { state.textContent = 'disconnected, trying again'; state.className = ''; };
source.addEventListener('reset', () => { pending = []; box.replaceChildren(); });
source.onmessage = (event) => {
  if (pending.length === 0) setTimeout(flush, 50);
  pending.push(JSON.parse(event.data));
};
for (const row of box.children) row.className = toneOf(row.textContent);
apply();
`;

/** The page of /logging: the lines there are, then those that come, with a filter. */
export function loggingPage(content: {
  readonly node: string;
  readonly epoch: string;
  readonly lines: readonly LogLine[];
  readonly filter: string;
}): Page {
  const rows = content.lines
    .map(({ at, text }) => `<div title="${escapeHtml(at)}">${escapeHtml(text)}</div>`)
    .join('');
  const cursor = `${content.epoch}:${content.lines.at(-1)?.seq ?? 0}`;
  const node = escapeHtml(content.node);
  return page({
    title: `${content.node}: log`,
    style: STYLE,
    script: SCRIPT,
    body:
      `<header><h1>${node} <small>log lines</small></h1>` +
      `<input id="filter" type="search" placeholder="Filter lines" aria-label="Filter lines" autocomplete="off"` +
      ` value="${escapeHtml(content.filter)}">` +
      `<label><input id="follow" type="checkbox" checked> follow</label>` +
      `<span id="state" role="status">connecting</span></header>` +
      `<main><div id="lines" role="log" tabindex="0" aria-label="Log lines of ${node}" data-cursor="${cursor}">${rows}</div></main>`,
  });
}
