import { createHash, randomBytes } from 'node:crypto';

export const SESSIONS_MAX = 1_000;
/** After that the page asks for the token again. */
export const SESSION_MS_MAX = 7 * 24 * 3600 * 1000;

/**
 * Browsers that have shown the token. The cookie holds a random id; what is kept here is its hash, so that looking it
 * up tells nothing about it by timing. In memory only: a restarted node asks again.
 */
export class SessionStore {
  readonly cookieName: string;
  readonly #nowMs: () => number;
  /** Hash of the id → when it ends; in the order of creation. */
  readonly #endsAtMs = new Map<string, number>();

  /** `nodeId` names the cookie: cookies know no ports, and several nodes may share a host name. */
  constructor(nodeId: string, nowMs: () => number = Date.now) {
    this.cookieName = `clb_session_${nodeId.replace(/[^A-Za-z0-9_-]/g, '_')}`;
    this.#nowMs = nowMs;
  }

  /** A new session; the value of its Set-Cookie header. The oldest session goes if there are too many. */
  create(): string {
    const id = randomBytes(32).toString('base64url');
    for (const oldest of this.#endsAtMs.keys()) {
      if (this.#endsAtMs.size < SESSIONS_MAX) break;
      this.#endsAtMs.delete(oldest);
    }
    this.#endsAtMs.set(hash(id), this.#nowMs() + SESSION_MS_MAX);
    return this.#cookie(id, SESSION_MS_MAX / 1000);
  }

  has(cookieHeader: string | undefined): boolean {
    const id = this.#idOf(cookieHeader);
    if (id === null) return false;
    const endsAtMs = this.#endsAtMs.get(hash(id));
    return endsAtMs !== undefined && this.#nowMs() < endsAtMs;
  }

  /** Ends the session; the value of the Set-Cookie header that removes the cookie. */
  end(cookieHeader: string | undefined): string {
    const id = this.#idOf(cookieHeader);
    if (id !== null) this.#endsAtMs.delete(hash(id));
    return this.#cookie('', 0);
  }

  #cookie(id: string, seconds: number): string {
    return `${this.cookieName}=${id}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
  }

  #idOf(cookieHeader: string | undefined): string | null {
    for (const part of (cookieHeader ?? '').split(';')) {
      const [name, id] = part.trim().split('=', 2);
      if (name === this.cookieName && id !== undefined && id !== '') return id;
    }
    return null;
  }
}

function hash(id: string): string {
  return createHash('sha256').update(id).digest('base64url');
}
