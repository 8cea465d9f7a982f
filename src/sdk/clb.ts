import { ClbClient } from './client.ts';
import { requestHeaders, type ClbOptions } from './options.ts';
import { Http } from './http.ts';

/**
 * The cluster as a library, for Node programs. One instance per process is enough: it keeps connections, joins concurrent
 * submits into batches and shares one event subscription among many waits.
 *
 *     const clb = new Clb({ servers: ['127.0.0.1:3002', '127.0.0.1:3004'] });
 *     const task = await clb.run({ command: ['echo', 'hello'] });
 *     console.log(task.status, task.result?.stdout);
 */
export class Clb extends ClbClient {
  /** @throws AddressError where a server is not host:port. */
  constructor(options: ClbOptions = {}) {
    super(options, new Http({ 'user-agent': 'clb-sdk', ...requestHeaders(options) }));
  }
}
