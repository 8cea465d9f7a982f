/** One line of time: what was done to the cluster on purpose, and what the cluster did about it. */
import type { ClusterEvent, EventMessage } from '../../../../api/views.ts';
import { shortId } from './format.ts';
import type { LogLine } from './log-tail.ts';
import type { Tone } from './status.ts';

/** Items kept on the page. */
export const FAULT_ITEMS_MAX = 400;

export interface FaultItem {
  /** Unique and stable. */
  readonly key: string;
  readonly atMs: number;
  /** injected: done on purpose. noticed: somebody saw it. acted: what was done about it. healed: it is over. */
  readonly kind: 'injected' | 'noticed' | 'acted' | 'healed';
  readonly node: string | null;
  readonly text: string;
  readonly task: string | null;
}

export const FAULT_TONES: Readonly<Record<FaultItem['kind'], Tone>> = {
  injected: 'bad',
  noticed: 'warn',
  acted: 'active',
  healed: 'good',
};

export const FAULT_WORDS: Readonly<Record<FaultItem['kind'], string>> = {
  injected: 'injected',
  noticed: 'noticed',
  acted: 'acted',
  healed: 'healed',
};

/** What an entry of the log says of it; entries of everyday work say nothing. */
export function itemsOfMessage(message: EventMessage): readonly FaultItem[] {
  const atMs = Date.parse(message.time);
  return message.events.flatMap((event, at) => {
    const told = tellEvent(event);
    return told === null ? [] : [{ key: `e${message.index}-${at}`, atMs, task: null, ...told }];
  });
}

type Told = Pick<FaultItem, 'kind' | 'node' | 'text'> & { readonly task?: string };

function tellEvent(event: ClusterEvent): Told | null {
  switch (event.kind) {
    case 'leader':
      return { kind: 'acted', node: event.id, text: `elected master in term ${event.term}` };
    case 'node':
      switch (event.status) {
        case 'down':
          return { kind: 'noticed', node: event.id, text: 'its lease ran out: counted as down' };
        case 'ready':
          return { kind: 'healed', node: event.id, text: 'registered: takes tasks' };
        default:
          return null;
      }
    case 'task': {
      const of = { node: event.node, task: event.id };
      if (event.what === 'lost') {
        return { ...of, kind: 'acted', text: `payload ${shortId(event.id)} taken back into the queue` };
      }
      if (event.what === 'assigned' && (event.attempt ?? 1) > 1) {
        return {
          ...of,
          kind: 'acted',
          text: `payload ${shortId(event.id)} placed again, attempt ${event.attempt}`,
        };
      }
      if (event.what === 'superseded') {
        return { ...of, kind: 'acted', text: `late result of payload ${shortId(event.id)} refused` };
      }
      if ((event.attempt ?? 0) > 1 && event.what === 'finished') {
        return { ...of, kind: 'healed', text: `payload ${shortId(event.id)} ${event.status}` };
      }
      return null;
    }
  }
}

const LINES: readonly (readonly [RegExp, FaultItem['kind'], (rest: string) => string])[] = [
  [/^CRASH :\($/, 'injected', () => 'stopped: silent as after a crash'],
  [/^RECOVERED :\)$/, 'healed', () => 'started again, from its disk'],
  [/^Fault injected: (.*)$/, 'injected', (rest) => rest],
  [/^Fault ended: (.*)$/, 'healed', (rest) => `${rest} is over`],
  [/^Leader has crashed$/, 'noticed', () => 'heard no master any more'],
  [/^Worker has crashed$/, 'noticed', () => 'as master: a worker fell silent'],
  [/^Is master container$/, 'acted', () => 'began to work as master'],
];

/** What a log line says of it; null for the lines of everyday work. */
export function itemOfLine(line: LogLine): FaultItem | null {
  for (const [pattern, kind, text] of LINES) {
    const found = pattern.exec(line.text);
    if (found === null) continue;
    return {
      key: `l${line.seq}`,
      atMs: Date.parse(line.at),
      kind,
      node: line.node,
      text: text(found[1] ?? ''),
      task: null,
    };
  }
  return null;
}

/** In the order of time, each once, the newest kept. */
export function withItems(items: readonly FaultItem[], more: readonly FaultItem[]): readonly FaultItem[] {
  const known = new Set(items.map(({ key }) => key));
  const fresh = more.filter(({ key }) => !known.has(key));
  if (fresh.length === 0) return items;
  return [...items, ...fresh].sort((a, b) => a.atMs - b.atMs).slice(-FAULT_ITEMS_MAX);
}
