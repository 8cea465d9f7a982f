import { networkInterfaces } from 'node:os';

/** Interfaces come and go (VPN, Docker networks): an unknown name makes us look again, at most this often. */
const INTERFACES_REREAD_MS = 5_000;
const VERDICTS_KEPT_MAX = 256;

/**
 * The names a request may call this node by (contract §8): loopback names, addresses of its own interfaces, and those
 * configured (advertised, peers, --allow-host). Anything else in `Host` is a page of somebody else whose name was made
 * to point here (DNS rebinding).
 */
export class OwnNames {
  readonly #configured: ReadonlySet<string>;
  readonly #readInterfaces: () => readonly string[];
  #interfaces: ReadonlySet<string> = new Set();
  #interfacesReadAtMs = -Infinity;
  /** Host headers seen lately that are ours: the header of every request of a client is the same text. */
  readonly #accepted = new Set<string>();

  constructor(configured: readonly string[], readInterfaces: () => readonly string[] = interfaceAddresses) {
    this.#configured = new Set(configured.map((name) => hostName(name) ?? name.toLowerCase()));
    this.#readInterfaces = readInterfaces;
  }

  /** `host` is a `Host` header: a name or address, with or without a port. Any port will do. */
  has(host: string): boolean {
    if (this.#accepted.has(host)) return true;
    const name = hostName(host);
    if (name === null || !this.#isOwn(name)) return false;
    if (this.#accepted.size >= VERDICTS_KEPT_MAX) this.#accepted.clear();
    this.#accepted.add(host);
    return true;
  }

  #isOwn(name: string): boolean {
    if (name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)) return true;
    if (this.#configured.has(name)) return true;
    const nowMs = performance.now();
    if (nowMs - this.#interfacesReadAtMs >= INTERFACES_REREAD_MS) {
      this.#interfacesReadAtMs = nowMs;
      this.#interfaces = new Set(this.#readInterfaces().map((address) => hostName(address) ?? address));
    }
    return this.#interfaces.has(name);
  }
}

/**
 * The name in `name`, `name:port`, `1.2.3.4:port`, `[v6]:port` or a bare v6 address, in one spelling (lower case, IPv6
 * compressed and in brackets, no dot at the end). null if it is none of these.
 */
export function hostName(host: string): string | null {
  const bare = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(host) ? `[${host}]` : host;
  if (!/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(bare)) return null;
  if (!URL.canParse(`http://${bare}`)) return null;
  return new URL(`http://${bare}`).hostname.replace(/\.$/, '');
}

function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.replace(/%.*$/, '')),
  );
}
