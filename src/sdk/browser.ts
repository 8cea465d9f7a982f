/** The typed client for pages: what `import { Clb } from 'clb'` gives where a bundler builds for the browser. */
import { ClbClient } from './client.ts';
import { requestHeaders, type ClbOptions } from './options.ts';
import { FetchHttp } from './fetch-http.ts';

/**
 * The cluster as a library, in a page that a client node (or a proxy before it) serves: by default it asks the address the
 * page came from. A token is not needed where the page has signed in.
 *
 *     const clb = new Clb();
 *     const task = await clb.run({ command: ['echo', 'hello'] });
 */
export class Clb extends ClbClient {
  /** @throws AddressError where a server is not host:port. */
  constructor(options: ClbOptions = {}) {
    const own = pageAddress();
    super({ ...options, servers: options.servers ?? [own] }, new FetchHttp(requestHeaders(options), own));
  }
}

/** host:port that the page came from. */
function pageAddress(): string {
  const { location } = globalThis as { location?: PageLocation };
  if (location === undefined) return '127.0.0.1:3001';
  const port = location.port === '' ? (location.protocol === 'https:' ? '443' : '80') : location.port;
  return `${location.hostname}:${port}`;
}

interface PageLocation {
  readonly protocol: string;
  readonly hostname: string;
  /** Empty where it is that of the protocol. */
  readonly port: string;
}

export { AddressError } from './address.ts';
export { ClbError, NoServerError } from './errors.ts';
export { isFinal } from '../api/tasks.ts';
