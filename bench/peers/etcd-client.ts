/**
 * As much of an etcd client as puts need: gRPC over HTTP/2 by hand, so that no library's cost is taken for etcd's.
 */
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';

/** As long as what CLB stores of a task. */
const VALUE = Buffer.alloc(300, 'v');
const HEADERS = {
  ':method': 'POST',
  ':path': '/etcdserverpb.KV/Put',
  'content-type': 'application/grpc',
  te: 'trailers',
};
/** Wire type of protocol buffers for strings and bytes. */
const LENGTH_DELIMITED = 2;
/** PutRequest's fields. */
const KEY_FIELD = 1;
const VALUE_FIELD = 2;

let keys = 0;

/** One connection to one node. */
export class EtcdClient {
  readonly #session: ClientHttp2Session;

  /** Connects in the background; a put fails if that does. */
  constructor(port: number) {
    this.#session = connect(`http://127.0.0.1:${port}`);
    this.#session.on('error', () => undefined); // shown by the requests on it
  }

  /** Puts a value under a key of its own; resolves when etcd has acknowledged it. */
  put(timeoutMs = 0): Promise<void> {
    return new Promise((done, failed) => {
      const request = this.#session.request(HEADERS);
      let status: unknown;
      if (timeoutMs > 0) {
        request.setTimeout(timeoutMs, () => request.close(constants.NGHTTP2_CANCEL));
      }
      // an answer without a body has its status among the headers, any other behind the body
      request.on('response', (headers) => (status = headers['grpc-status']));
      request.on('trailers', (trailers: IncomingHttpHeaders) => (status = trailers['grpc-status']));
      request.on('error', failed);
      request.on('close', () => {
        if (status === '0') done();
        else failed(new Error(`no put: gRPC status ${String(status)}`));
      });
      request.resume();
      request.end(grpcMessage(putRequest()));
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

function putRequest(): Buffer {
  keys += 1;
  return Buffer.concat([
    bytesField(KEY_FIELD, Buffer.from(`/task/${1e9 + keys}`)),
    bytesField(VALUE_FIELD, VALUE),
  ]);
}

/** Length-prefixed: a byte that says "not compressed", and the length. */
function grpcMessage(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | LENGTH_DELIMITED]), varint(bytes.length), bytes]);
}

/** Seven bits a byte, the lowest first; all but the last have the highest bit set. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left & 0x7f) | 0x80);
    left >>>= 7;
  }
  return Buffer.from([...bytes, left]);
}
