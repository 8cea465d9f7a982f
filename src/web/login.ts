/** /login: where a person shows the token once; the browser keeps a cookie with a session id (contract §8). */
import { setTimeout as delay } from 'node:timers/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import type { Answers } from './answers.ts';
import { LOGIN_PATH, pathOf } from './guard.ts';
import type { Guard } from './guard.ts';
import { checked } from './input.ts';
import { escapeHtml, page } from './page.ts';
import { parseJson } from './request-body.ts';
import type { BodyReader } from './request-body.ts';
import type { SessionStore } from './sessions.ts';

export const LOGOUT_PATH = '/logout';

/** A wrong token is answered late, and only so many are looked at at a time: guessing is slow. */
const WRONG_TOKEN_DELAY_MS = 300;
const CHECKS_AT_ONCE_MAX = 20;

const loginSchema = z.strictObject({ token: z.string().min(1).max(4_096) });

export interface LoginDeps {
  readonly guard: Guard;
  readonly sessions: SessionStore;
  readonly answers: Answers;
  readonly bodies: BodyReader;
  readonly node: string;
}

export class Login {
  readonly #deps: LoginDeps;
  #wrongNow = 0;

  constructor(deps: LoginDeps) {
    this.#deps = deps;
  }

  /** Answers GET and POST /login, POST /logout. @throws ApiError */
  async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { answers, sessions, bodies, node } = this.#deps;
    const path = pathOf(req);
    if (req.method === 'GET' && path === LOGIN_PATH) {
      const { html, nonce } = loginPage(node);
      answers.html(res, 200, html, nonce);
    } else if (req.method === 'POST' && path === LOGIN_PATH) {
      const { token } = checked(loginSchema, parseJson(await bodies.read(req, res, LIMITS.bodyBytesMax)));
      await this.#verify(token);
      answers.empty(res, 204, { 'set-cookie': sessions.create() });
    } else if (req.method === 'POST') {
      answers.empty(res, 204, { 'set-cookie': sessions.end(req.headers.cookie) });
    } else throw new ApiError('NOT_FOUND', `no route ${req.method ?? ''} ${path}`);
  }

  async #verify(token: string): Promise<void> {
    if (this.#wrongNow >= CHECKS_AT_ONCE_MAX) {
      throw new ApiError('UNAVAILABLE', 'too many wrong tokens at the moment', { retryAfterSeconds: 1 });
    }
    if (this.#deps.guard.isToken(token)) return;
    this.#wrongNow += 1;
    await delay(WRONG_TOKEN_DELAY_MS);
    this.#wrongNow -= 1;
    throw new ApiError('UNAUTHORIZED', 'the token is not the right one');
  }
}

/** Where a page that was refused sends the browser. */
export function loginRedirect(req: IncomingMessage): string {
  return `${LOGIN_PATH}?next=${encodeURIComponent(req.url ?? '/')}`;
}

const STYLE = `
main { max-width: 24rem; margin: 12vh auto 0; } h1 { font-size: 1.25rem; }
form { display: grid; gap: .6rem; } #said { min-height: 1.5em; color: light-dark(#b3261e, #f2b8b5); }
`;

const SCRIPT = `
'use strict';
const said = document.getElementById('said');
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  said.textContent = '';
  try {
    const token = document.getElementById('token').value;
    const answer = await fetch('/login', { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }) });
    if (answer.ok) {
      const next = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
      location.replace(next.origin === location.origin ? next.href : '/');
    } else said.textContent = (await answer.json()).error.message;
  } catch { said.textContent = 'the node does not answer'; }
});
`;

function loginPage(node: string): { readonly html: string; readonly nonce: string } {
  return page({
    title: 'CLB: token',
    style: STYLE,
    script: SCRIPT,
    body:
      `<main><h1>CLB: ${escapeHtml(node)}</h1><form method="post"><label for="token">Token</label>` +
      `<input id="token" type="password" autocomplete="current-password" required autofocus>` +
      `<button>Continue</button><p id="said" role="alert"></p></form>` +
      `<noscript>This page needs JavaScript.</noscript></main>`,
  });
}
