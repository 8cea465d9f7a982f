/**
 * Who may call (contract §8). Every route of every node, the upgraded connections too, passes this before anything else
 * looks at the request. Nothing here reads a body or waits.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { UpgradeGuard } from '../net/upgrade.ts';
import { hostName, OwnNames } from './own-names.ts';
import type { SessionStore } from './sessions.ts';

export interface GuardOptions {
  /** null: everybody who reaches the port may call. */
  readonly token: string | null;
  /** Names others call this node by: the advertised one and those of the peers, with or without a port. */
  readonly names: readonly string[];
  /** --allow-host: names like those, accepted in `Origin` too (a reverse proxy that rewrites `Host`). */
  readonly allowHosts: readonly string[];
  /** Browsers may show a session cookie instead of the token; null: only the token will do. */
  readonly sessions: SessionStore | null;
  /** Addresses of this machine; for tests. */
  readonly interfaceAddresses?: () => readonly string[];
}

export type GuardVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly status: 401 | 403;
      readonly code: 'UNAUTHORIZED' | 'FORBIDDEN';
      readonly message: string;
      /** A link on another site's page was followed: the same request from the address bar would be admitted. */
      readonly followedLink: boolean;
    };

/** The one path that is open to those without a token: it is where the token is shown. */
export const LOGIN_PATH = '/login';

const OK: GuardVerdict = { ok: true };

export class Guard {
  readonly sessions: SessionStore | null;
  readonly #tokenHash: Buffer | null;
  readonly #names: OwnNames;
  readonly #allowedOrigins: ReadonlySet<string>;

  constructor(options: GuardOptions) {
    this.sessions = options.token === null ? null : options.sessions;
    this.#tokenHash = options.token === null ? null : sha256(options.token);
    this.#names = new OwnNames([...options.names, ...options.allowHosts], options.interfaceAddresses);
    this.#allowedOrigins = new Set(options.allowHosts.map((name) => hostName(name) ?? name.toLowerCase()));
  }

  /** A token is needed. */
  get closed(): boolean {
    return this.#tokenHash !== null;
  }

  check(req: IncomingMessage): GuardVerdict {
    const refusal = this.#address(req) ?? contentType(req);
    if (refusal !== null) return forbidden(refusal, false);
    const site = otherSite(req);
    if (site !== null) return forbidden(site, req.headers['sec-fetch-mode'] === 'navigate');
    if (this.#tokenHash === null || this.#mayLogIn(req)) return OK;
    const { authorization } = req.headers;
    if (authorization === undefined && this.sessions?.has(req.headers.cookie) === true) return OK;
    if (authorization === undefined) {
      return unauthorized('a token is needed: Authorization: Bearer TOKEN (CLB_TOKEN)');
    }
    return this.isToken(/^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '')
      ? OK
      : unauthorized('the token is not the right one');
  }

  /** Takes as long for a wrong token as for the right one, whatever they have in common. */
  isToken(candidate: string): boolean {
    return this.#tokenHash !== null && timingSafeEqual(sha256(candidate), this.#tokenHash);
  }

  #mayLogIn(req: IncomingMessage): boolean {
    return this.sessions !== null && pathOf(req) === LOGIN_PATH;
  }

  /** Why the request is not meant for this node, or not by a page of its own; null if it is. */
  #address(req: IncomingMessage): string | null {
    const { host, origin } = req.headers;
    if (host === undefined || !this.#names.has(host)) {
      return `Host ${quoted(host)} is not a name of this node (--allow-host NAME adds one)`;
    }
    if (origin !== undefined && !this.#isOwnOrigin(origin, host)) {
      return `Origin ${quoted(origin)} is not this node's own`;
    }
    return null;
  }

  /** A page of the same host on another port is a stranger too: anything may listen there. */
  #isOwnOrigin(origin: string, host: string): boolean {
    if (!URL.canParse(origin)) return false;
    const url = new URL(origin);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
    // Parsed with the scheme of the origin, the default port falls away on both sides.
    const own = URL.canParse(`${url.protocol}//${host}`) ? new URL(`${url.protocol}//${host}`).host : null;
    return url.host === own || this.#allowedOrigins.has(url.hostname);
  }
}

/** The same guard for connections that are upgraded; a node that simulates a crash takes none. */
export function upgradeGuard(guard: Guard, stopped: () => boolean): UpgradeGuard {
  return (req) => {
    const verdict = guard.check(req);
    if (!verdict.ok) return { ok: false, status: verdict.status, message: verdict.message };
    return stopped() ? { ok: false, status: 418, message: 'this node is stopped' } : { ok: true };
  };
}

/** Browsers fetch what they expect to be wanted soon; a page that acts on GET must not answer that. */
export function isPrefetch(req: IncomingMessage): boolean {
  const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].map((name) => String(req.headers[name]));
  if (purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose))) return true;
  // Loaded as an image, a script, a frame, … and not by a person.
  const destination = req.headers['sec-fetch-dest'];
  return destination !== undefined && destination !== 'document' && destination !== 'empty';
}

/** Path of the request target without the query, as it was sent. */
export function pathOf(req: IncomingMessage): string {
  const url = req.url ?? '/';
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

function otherSite(req: IncomingMessage): string | null {
  const site = req.headers['sec-fetch-site'];
  if (site === undefined || site === 'none' || site === 'same-origin') return null;
  return `the request comes from another site's page (Sec-Fetch-Site: ${site.slice(0, 40)})`;
}

/** A form of another site's page can send anything but this without being asked first. */
function contentType(req: IncomingMessage): string | null {
  const type = req.headers['content-type'];
  const length = req.headers['content-length'];
  const hasBody = (length !== undefined && length !== '0') || req.headers['transfer-encoding'] !== undefined;
  // A GET without a body may say what it likes; a POST is held to its type even if it is empty.
  if (!hasBody && (req.method === 'GET' || req.method === 'HEAD')) return null;
  if (type === undefined) return hasBody ? 'the body must be application/json, it has no Content-Type' : null;
  const [media = '', ...parameters] = type.split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (media === 'application/json' && isUtf8) return null;
  return `the body must be application/json in UTF-8, not ${quoted(type)}`;
}

function quoted(text: string | undefined): string {
  return text === undefined ? '(none)' : JSON.stringify(text.slice(0, 100));
}

function forbidden(message: string, followedLink: boolean): GuardVerdict {
  return { ok: false, status: 403, code: 'FORBIDDEN', message, followedLink };
}

function unauthorized(message: string): GuardVerdict {
  return { ok: false, status: 401, code: 'UNAUTHORIZED', message, followedLink: false };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
