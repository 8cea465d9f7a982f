/**
 * Runs an interaction script: a text that says step by step what is done to a cluster of pure cores, and below each step
 * what every node did about it. The idea is that of etcd/raft's rafttest; language and scripts are our own.
 *
 * `#` begins a comment, `>` a command; the indented lines after a command are its outcome and are written by the runner:
 *
 *     > cluster voters=n1,n2,n3 [learners=n4] [window=3] [n2=1,1,4 …]   cores with logs of these terms
 *     > join n4                        a server with nothing, not even a configuration
 *     > timeout n1                     ticks until it begins an election
 *     > tick n1 [5]                    gives ticks
 *     > propose n1 a b                 proposes these commands in one input
 *     > config n1 voters=… [learners=…]  proposes this configuration
 *     > read n1 7                      asks for a linearizable read, number 7
 *     > transfer n1 n2                 asks n1 to hand over the lead
 *     > unreachable n1 n3              tells n1 that its connection to n3 broke
 *     > tell-commit n1                 no entries followed a commit: followers are told of it
 *     > compact n1                     snapshot of all that is applied; the log goes
 *     > snapshot n1 n3                 n1's driver sends its snapshot
 *     > sent n1 n3 ok|failed           n1's driver says how that ended
 *     > install n3                     n3's driver puts the received snapshot in force
 *     > deliver n2 n3 [from=n1] [kind=append]   what is in flight to these nodes now, one by one
 *     > drop n3 [from=n1] [kind=append]         that is lost
 *     > settle [n1 n2]                 delivers to these (or all) until nothing is in flight to them
 *     > hold n1 | disk n1 [2] | release n1      writes wait | the oldest are done | all are done, and further ones at once
 *     > restart n1                     a crash, without what is not durable
 *     > status n1 …                    role, log, commit index, and what a leader knows of the others
 *     > log n1 …
 *     > quiet | loud                   whether outcomes are written down
 */
import { asLogIndex, asNodeId, asProposalId, asReadId } from '../../../src/raft/core/ids.ts';
import type {
  Configuration,
  Message,
  NodeId,
  RaftConfig,
  SnapshotMeta,
} from '../../../src/raft/core/types.ts';
import { ELECTION_TICKS, bytes, emptyState, hardState, logOfTerms } from '../core/harness.ts';
import { ScriptNode } from './script-node.ts';
import { wordConfig, wordEntry, wordMessage } from './wording.ts';

const SETTLE_ROUNDS_MAX = 100;

/** A command's words, those of the form `key=value` apart. */
interface Words {
  readonly plain: readonly string[];
  readonly named: ReadonlyMap<string, string>;
}

/** @returns the script with the outcomes as they are */
export function runScript(text: string): string {
  const lines: string[] = [];
  const interaction = new Interaction((line) => lines.push(line));
  for (const line of text.split('\n')) {
    if (line.startsWith(' ')) continue;
    lines.push(line);
    if (line.startsWith('> ')) interaction.run(line.slice(2));
    else if (line !== '' && !line.startsWith('#')) throw new Error(`neither command nor comment: ${line}`);
  }
  return lines.join('\n');
}

class Interaction {
  readonly #write: (line: string) => void;
  readonly #nodes = new Map<NodeId, ScriptNode>();
  #limits: Partial<RaftConfig> = {};
  #inFlight: Message[] = [];
  #isQuiet = false;
  #indent = '  ';
  #proposals = 0;
  /** The snapshot last sent to each node. */
  readonly #sentSnapshots = new Map<string, SnapshotMeta>();

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  run(command: string): void {
    const [verb = '', ...rest] = command.split(/\s+/);
    const words = parseWords(rest);
    const { plain } = words;
    switch (verb) {
      case 'cluster':
        this.#cluster(words);
        break;
      case 'join':
        for (const name of plain) this.#add(asNodeId(name), { voters: [], learners: [] });
        break;
      case 'quiet':
      case 'loud':
        this.#isQuiet = verb === 'quiet';
        break;
      case 'deliver':
        this.#deliver(this.#take(words));
        break;
      case 'drop':
        for (const message of this.#take(words)) this.#say(`lost: ${wordMessage(message)}`);
        break;
      case 'settle':
        this.#settle(plain.length > 0 ? plain : [...this.#nodes.keys()]);
        break;
      case 'status':
        for (const name of plain) this.#status(this.#node(name));
        break;
      case 'log':
        for (const name of plain) this.#log(this.#node(name));
        break;
      default:
        this.#act(verb, this.#node(plain[0]), words);
    }
  }

  #cluster({ named }: Words): void {
    const config = parseConfig(named);
    const window = named.get('window');
    if (window !== undefined) this.#limits = { inflightMessagesMax: Number(window) };
    for (const id of [...config.voters, ...config.learners]) this.#add(id, config, named.get(id));
  }

  #add(id: NodeId, config: Configuration, terms?: string): void {
    const entries = terms === undefined ? [] : logOfTerms(terms.split(',').map(Number));
    const state = { ...emptyState(config), entries, hardState: hardState(entries.at(-1)?.term ?? 0) };
    const node = new ScriptNode(id, state, this.#limits, {
      send: (message) => this.#inFlight.push(message),
      say: (line) => this.#say(line.startsWith(`${id}→`) ? line : `${id} ${line}`),
    });
    this.#nodes.set(id, node);
  }

  /** Commands to one node. */
  #act(verb: string, node: ScriptNode, { plain, named }: Words): void {
    const [, second = ''] = plain;
    switch (verb) {
      case 'timeout':
        this.#timeOut(node);
        break;
      case 'tick':
        for (let i = 0; i < Number(second || 1); i++) node.step({ kind: 'tick' });
        break;
      case 'propose': {
        const proposals = plain.slice(1).map((word) => ({
          id: asProposalId(++this.#proposals),
          payload: bytes(word),
        }));
        node.step({ kind: 'propose', proposals });
        break;
      }
      case 'config':
        node.step({
          kind: 'proposeConfig',
          id: asProposalId(++this.#proposals),
          config: parseConfig(named),
        });
        break;
      case 'read':
        node.step({ kind: 'readIndex', readId: asReadId(Number(second)) });
        break;
      case 'transfer':
        node.step({ kind: 'transferLeadership', to: asNodeId(second) });
        break;
      case 'unreachable':
        node.step({ kind: 'peerUnreachable', peer: asNodeId(second) });
        break;
      case 'tell-commit':
        node.step({ kind: 'tellCommit' });
        break;
      default:
        this.#actOnDisk(verb, node, plain);
    }
  }

  #timeOut(node: ScriptNode): void {
    const { campaigns } = node;
    // A leader gives up first, which takes an election timeout too.
    for (let i = 0; i < 3 * ELECTION_TICKS && node.campaigns === campaigns; i++) node.step({ kind: 'tick' });
    if (node.campaigns === campaigns) throw new Error(`${node.id} does not stand`);
  }

  #actOnDisk(verb: string, node: ScriptNode, [, second = '', third = '']: readonly string[]): void {
    switch (verb) {
      case 'compact':
        node.compact();
        break;
      case 'snapshot':
        this.#sendSnapshot(node, asNodeId(second));
        break;
      case 'sent':
        node.step({
          kind: 'snapshotSent',
          to: asNodeId(second),
          meta: this.#sentSnapshots.get(second) ?? node.disk.snapshot,
          ok: third === 'ok',
        });
        break;
      case 'install':
        node.install();
        break;
      case 'hold':
        node.holdsWrites = true;
        break;
      case 'disk':
        node.finishWrites(second === '' ? undefined : Number(second));
        break;
      case 'release':
        node.holdsWrites = false;
        node.finishWrites();
        break;
      case 'restart':
        this.#inFlight = this.#inFlight.filter((message) => message.to !== node.id);
        node.restart();
        break;
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #sendSnapshot(node: ScriptNode, to: NodeId): void {
    const message = {
      kind: 'snapshotChunk',
      from: node.id,
      to,
      term: node.core.status().term,
      meta: node.disk.snapshot,
      chunk: 0,
      data: new Uint8Array(),
      done: true,
    } as const;
    this.#sentSnapshots.set(to, message.meta);
    this.#say(wordMessage(message));
    this.#inFlight.push(message);
  }

  /** What is in flight to the nodes named and fits the conditions. */
  #take({ plain, named }: Words): Message[] {
    const from = named.get('from');
    const kind = named.get('kind');
    const isWanted = (m: Message): boolean =>
      plain.includes(m.to) &&
      (from === undefined || m.from === from) &&
      (kind === undefined || m.kind === kind);
    const taken = this.#inFlight.filter(isWanted);
    this.#inFlight = this.#inFlight.filter((message) => !isWanted(message));
    return taken;
  }

  #deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      const to = this.#nodes.get(message.to);
      if (to === undefined) {
        this.#say(`nobody there: ${wordMessage(message)}`);
        continue;
      }
      this.#say(wordMessage(message));
      this.#indent = '    ';
      to.step({ kind: 'message', message });
      this.#indent = '  ';
    }
  }

  #settle(names: readonly string[]): void {
    for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
      const messages = this.#take({ plain: names, named: new Map() });
      if (messages.length === 0) return;
      this.#deliver(messages);
    }
    throw new Error('the nodes do not come to rest');
  }

  #status({ id, core }: ScriptNode): void {
    const { role, term, votedFor, leader, firstIndex, lastIndex, lastTerm, commitIndex, config, peers } =
      core.status();
    const log = `log ${firstIndex}..${lastIndex}@${lastTerm}, commit ${commitIndex}`;
    this.#say(`${id} ${role} in term ${term}, vote ${votedFor ?? 'none'}, leader ${leader ?? 'none'}`);
    this.#say(`${id} ${log}, ${wordConfig(config)}`);
    for (const [peer, { state, matchIndex, nextIndex }] of peers)
      this.#say(`  ${peer}: ${state}, match ${matchIndex}, next ${nextIndex}`);
  }

  #log({ id, core }: ScriptNode): void {
    const entries = core.entries(asLogIndex(1), asLogIndex(Number.MAX_SAFE_INTEGER));
    const { snapshotIndex } = core.status();
    const parts = [...(snapshotIndex > 0 ? [`snapshot of ${snapshotIndex}`] : []), ...entries.map(wordEntry)];
    this.#say(`${id}: ${parts.join(', ')}`);
  }

  #node(name = ''): ScriptNode {
    const node = this.#nodes.get(asNodeId(name));
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  #say(line: string): void {
    if (!this.#isQuiet) this.#write(`${this.#indent}${line}`);
  }
}

function parseWords(words: readonly string[]): Words {
  const plain: string[] = [];
  const named = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 0) plain.push(word);
    else named.set(word.slice(0, at), word.slice(at + 1));
  }
  return { plain, named };
}

function parseConfig(named: ReadonlyMap<string, string>): Configuration {
  const list = (name: string): NodeId[] =>
    (named.get(name) ?? '')
      .split(',')
      .filter((id) => id !== '')
      .map(asNodeId);
  return { voters: list('voters'), learners: list('learners') };
}
