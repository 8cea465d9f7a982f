/** Limits and times of the connections between servers. */
export interface TransportSettings {
  /** A longer frame closes the connection. Must exceed the largest proposal and the largest snapshot chunk. */
  readonly frameBytesMax: number;
  /** What may wait for one peer, beyond which messages to it are dropped. */
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  /** Each connection is tested this often. */
  readonly pingEveryMs: number;
  /** After this many unanswered tests it counts as dead: TCP itself would try for many minutes. */
  readonly missedPingsMax: number;
  /** Tests left out in a row because the peer is being heard anyway. */
  readonly sparedPingsMax: number;
  /** Connections accepted from servers that are not known (yet); each known one has one at most. */
  readonly strangersMax: number;
  readonly dialTimeoutMs: number;
  readonly redialMsMin: number;
  readonly redialMsMax: number;
}

/** Two silent election timeouts (of at most 400 ms) make a connection dead. */
export const TRANSPORT_DEFAULTS: TransportSettings = {
  frameBytesMax: 16 * 1024 * 1024,
  queueMessagesMax: 1_024,
  queueBytesMax: 24 * 1024 * 1024,
  pingEveryMs: 200,
  missedPingsMax: 4,
  sparedPingsMax: 4,
  strangersMax: 16,
  dialTimeoutMs: 800,
  redialMsMin: 50,
  redialMsMax: 500,
};

export const RAFT_PROTOCOL = 'clb-raft';
export const HEADER_CLUSTER = 'x-clb-cluster';
export const HEADER_NODE = 'x-clb-node';
/** The node the dialer believes to call. */
export const HEADER_TARGET = 'x-clb-target';

/** The name of the dialer's data folder; absent where it has none. */
export const HEADER_FOLDER = 'x-clb-folder';

/** By which one the dialer knows the node it calls; absent where it does not know yet. */
export const HEADER_TARGET_FOLDER = 'x-clb-target-folder';

/** What a member is told that dials with another data folder than before. */
export const REFUSAL_FOLDER =
  'it has another data folder than before: a server that lost its folder may not come back under its id';

/** What a former member is told that dials; it takes it for the truth (the token, if there is one, was checked). */
export const REFUSAL_REMOVED = 'it was removed from the cluster';

/** Where a peer is dialed. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads host:port as configurations hold it; IPv6 hosts stand in brackets. null: it is none. */
export function parsePeerAddress(text: string): PeerAddress | null {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, Math.max(0, colon)).replace(/^\[|\]$/g, '');
  const port = Number(text.slice(colon + 1));
  return host !== '' && Number.isInteger(port) && port >= 1 && port <= 65_535 ? { host, port } : null;
}
