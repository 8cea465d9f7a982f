/** The six ports of `clb up`: where the three servers are unless told otherwise. */
export const DEFAULT_SERVERS: readonly string[] = ['127.0.0.1:3002', '127.0.0.1:3004', '127.0.0.1:3005'];

export const SERVERS_MAX = 16;

/** An address that is not host:port. */
export class AddressError extends Error {
  readonly code = 'INVALID';
  override readonly name = 'AddressError';
}

export interface Address {
  /** As given, without scheme: names it in messages. */
  readonly text: string;
  /** http://host:port without a slash at the end. */
  readonly baseUrl: string;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
}

/**
 * Takes `host:port`, `[v6]:port` or `http://host:port`.
 * @throws AddressError naming what is wrong.
 */
export function parseAddress(given: string): Address {
  const text = given
    .trim()
    .replace(/^http:\/\//, '')
    .replace(/\/$/, '');
  if (/^[a-z]+:\/\//.test(text)) {
    throw new AddressError(`server address ${JSON.stringify(given)}: only http is spoken (host:port)`);
  }
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new AddressError(`server address ${JSON.stringify(given)} is not of the form host:port`);
  }
  return { text, baseUrl: `http://${text}`, host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** @throws AddressError also for none at all or more than {@link SERVERS_MAX}. */
export function parseAddresses(given: readonly string[]): readonly Address[] {
  if (given.length === 0) throw new AddressError('no server address given');
  if (given.length > SERVERS_MAX) throw new AddressError(`at most ${SERVERS_MAX} server addresses`);
  const byText = new Map(given.map(parseAddress).map((address) => [address.text, address]));
  return [...byText.values()];
}
