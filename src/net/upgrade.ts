/**
 * HTTP Upgrade: how nodes open their long-lived connections on the one port each node already has.
 * `UpgradeRouter` is the accepting side, `dialUpgrade` the other one.
 */
import { request, STATUS_CODES } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';

/** Accepts or refuses a connection before any protocol sees it (token, Host, Origin: the same guard as every route). */
export type UpgradeGuard = (
  request: IncomingMessage,
) => { readonly ok: true } | { readonly ok: false; readonly status: number; readonly message: string };

/** Takes over an upgraded socket. `headers` were sent by the dialer. */
export type UpgradeHandler = (socket: Socket, headers: IncomingHttpHeaders) => void;

/** Decides over connections that came in and passed the guard; false: it has closed this one. */
export type AdmitConnection = (socket: Socket) => boolean;

/** Handlers by protocol name (the `Upgrade` header). A protocol nobody handles is refused with 426. */
export class UpgradeRouter {
  readonly #guard: UpgradeGuard;
  readonly #admit: AdmitConnection;
  readonly #handlers = new Map<string, UpgradeHandler>();

  constructor(guard: UpgradeGuard, admit: AdmitConnection = () => true) {
    this.#guard = guard;
    this.#admit = admit;
  }

  /** Returns a function that takes the handler away again. */
  handle(protocol: string, handler: UpgradeHandler): () => void {
    this.#handlers.set(protocol, handler);
    return () => {
      if (this.#handlers.get(protocol) === handler) this.#handlers.delete(protocol);
    };
  }

  attach(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      const verdict = this.#guard(request);
      if (!verdict.ok) {
        refuse(socket, verdict.status, verdict.message);
        return;
      }
      const protocol = (request.headers.upgrade ?? '').toLowerCase();
      const handler = this.#handlers.get(protocol);
      if (handler === undefined) {
        refuse(socket, 426, `no protocol ${JSON.stringify(protocol)} here (now)`);
        return;
      }
      if (!(socket instanceof Socket)) throw new TypeError('a plain TCP socket was expected');
      if (!this.#admit(socket)) return;
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
      if (head.byteLength > 0) socket.unshift(head);
      socket.setNoDelay(true);
      socket.setTimeout(0);
      handler(socket, request.headers);
    });
  }
}

function refuse(socket: Duplex, status: number, message: string): void {
  const body = `${message}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The other side answered, but not with 101. */
export class UpgradeRefusedError extends Error {
  readonly code = 'UPGRADE_REFUSED';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Opens a connection and upgrades it.
 * @throws UpgradeRefusedError, or the socket's own error (ECONNREFUSED, …), or an abort/time-out error.
 */
export function dialUpgrade(options: DialOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const dialing = request({
      host: options.host,
      port: options.port,
      path: '/',
      agent: false,
      headers: { ...options.headers, connection: 'Upgrade', upgrade: options.protocol },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const timer = setTimeout(
      () => dialing.destroy(new Error(`no answer within ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    dialing.on('upgrade', (_response, socket, head) => {
      clearTimeout(timer);
      socket.setNoDelay(true);
      socket.setTimeout(0);
      if (head.byteLength > 0) socket.unshift(head);
      resolve(socket);
    });
    dialing.on('response', (response) => {
      clearTimeout(timer);
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (body.length < 1_000) body += text;
      });
      response.on('end', () => reject(new UpgradeRefusedError(response.statusCode ?? 0, body.trim())));
      response.on('error', reject);
    });
    dialing.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    dialing.end();
  });
}
