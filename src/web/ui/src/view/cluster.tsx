import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import type { RaftView } from '../../../../api/views.ts';
import { plural } from '../model/format.ts';
import { cellState, lagOf, leaderOf, shownIndexes } from '../model/raft-board.ts';
import type { RaftBoard, ServerEntry, Spell } from '../model/raft-board.ts';
import type { Tone } from '../model/status.ts';
import { useApp, useSelect } from './context.ts';
import { Heads } from './heads.tsx';
import { Icon } from './icons.tsx';
import { LogEntries } from './log-entries.tsx';
import { Ago, ToneDot } from './small.tsx';
import { TimeTravel } from './time-travel.tsx';
import { ViewTitle } from './view-title.tsx';

/** The servers and the log they replicate, as each of them has it. */
export function Cluster(): VNode {
  const { clusterWatch } = useApp();
  const board = useSelect((state) => state.raft);
  useEffect(() => clusterWatch.start(), [clusterWatch]);
  const leader = leaderOf(board);
  return (
    <div class="view" data-testid="cluster-view">
      <ViewTitle title="Cluster" hint="Every server is asked for its own state once a second." />
      {board.servers.length === 0 ? (
        <div class="panel skeleton skeleton-page" aria-busy="true" />
      ) : (
        <>
          <Picture board={board} />
          <Servers board={board} />
          <Spells spells={board.spells} />
          <TimeTravel server={leader?.id ?? null} lastIndex={leader?.appliedIndex ?? 0} />
          <LogEntries
            server={leader?.id ?? null}
            firstIndex={leader?.firstIndex ?? 0}
            lastIndex={leader?.lastIndex ?? 0}
            commitIndex={leader?.commitIndex ?? 0}
          />
        </>
      )}
    </div>
  );
}

const ROLE_TONES: Readonly<Record<RaftView['role'], Tone>> = {
  leader: 'warn',
  follower: 'good',
  candidate: 'waiting',
  learner: 'neutral',
};

function Role({ server }: { readonly server: ServerEntry }): VNode {
  const { view, problem } = server;
  if (problem !== null) {
    return (
      <span class="raft-role tone-text-bad">
        <ToneDot tone="bad" />
        {problem}
      </span>
    );
  }
  if (view === null) return <span class="muted">…</span>;
  const tone = ROLE_TONES[view.role];
  return (
    <span class={`raft-role tone-text-${tone}`}>
      {view.role === 'leader' ? <Icon name="crown" /> : <ToneDot tone={tone} />}
      {view.role === 'leader' ? 'master' : view.role}
    </span>
  );
}

/** One row per server, one cell per entry: who has what, and how far it is certain. */
function Picture({ board }: { readonly board: RaftBoard }): VNode {
  const indexes = shownIndexes(board);
  const terms = new Map(board.entries.map((entry) => [entry.index, entry.term]));
  const first = indexes[0] ?? 0;
  const last = indexes.at(-1) ?? 0;
  return (
    <section class="panel" aria-labelledby="picture-title">
      <div class="section-head">
        <h2 id="picture-title">The replicated log</h2>
        <span class="muted">
          entries {first} to {last}
        </span>
        <Legend />
      </div>
      <ul class="log-picture">
        {board.servers.map((server) => (
          <PictureRow key={server.id} server={server} indexes={indexes} terms={terms} />
        ))}
      </ul>
    </section>
  );
}

function Legend(): VNode {
  return (
    <span class="legend">
      <span class="legend-item">
        <span class="log-cell cell-appended" aria-hidden="true" /> appended
      </span>
      <span class="legend-item">
        <span class="log-cell cell-committed" aria-hidden="true" /> committed
      </span>
      <span class="legend-item">
        <span class="log-cell cell-applied" aria-hidden="true" /> applied
      </span>
    </span>
  );
}

function PictureRow({
  server,
  indexes,
  terms,
}: {
  readonly server: ServerEntry;
  readonly indexes: readonly number[];
  readonly terms: ReadonlyMap<number, number>;
}): VNode {
  const { id, view, problem } = server;
  const told =
    view === null
      ? `${id}: nothing known`
      : `${id}: has entries up to ${view.lastIndex}, committed up to ${view.commitIndex}, applied up to ${view.appliedIndex}`;
  return (
    <li class={`log-row ${problem === null ? '' : 'log-row-away'}`} data-testid="log-row" data-server={id}>
      <span class="log-row-head">
        <strong>{id}</strong>
        <Role server={server} />
      </span>
      <span class="log-cells" role="img" aria-label={told}>
        {indexes.map((index) => {
          const state = view === null ? 'none' : cellState(view, index);
          const term = terms.get(index);
          // The first entry of a term is marked: there a new master took over.
          const begins = term !== undefined && (terms.get(index - 1) ?? term) !== term;
          return (
            <span
              key={index}
              class={`log-cell cell-${state} ${begins ? 'cell-seam' : ''}`}
              title={`${index}${term === undefined ? '' : `, term ${term}`}: ${state === 'none' ? 'not there' : state}`}
            />
          );
        })}
      </span>
    </li>
  );
}

const COLUMNS = ['Term', 'Last', 'Committed', 'Applied', 'Lag', 'Snapshot'] as const;

function Servers({ board }: { readonly board: RaftBoard }): VNode {
  const leader = leaderOf(board);
  return (
    <section class="panel" aria-labelledby="servers-title">
      <div class="section-head">
        <h2 id="servers-title">Servers</h2>
        <span class="muted">
          {plural(leader?.voters.length ?? board.servers.length, 'voter')}
          {leader === null || leader.learners.length === 0
            ? ''
            : `, ${plural(leader.learners.length, 'learner')}`}
        </span>
      </div>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Table of servers">
        <table class="plain-table">
          <Heads of={['Server', 'Role', ...[...COLUMNS, 'Heard by master'].map((number) => ({ number }))]} />
          <tbody>
            {board.servers.map((server) => (
              <ServerRow key={server.id} server={server} board={board} leader={leader} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function ServerRow({
  server,
  board,
  leader,
}: {
  readonly server: ServerEntry;
  readonly board: RaftBoard;
  readonly leader: RaftView | null;
}): VNode {
  const { id, view } = server;
  const contactMs = leader?.peers[id]?.lastContactMs ?? null;
  const numbers = [
    view?.term,
    view?.lastIndex,
    view?.commitIndex,
    view?.appliedIndex,
    lagOf(board, server),
    view?.snapshotIndex,
  ];
  return (
    <tr
      data-testid="raft-server"
      data-server={id}
      data-role={server.problem === null ? (view?.role ?? '') : ''}
      data-last={view?.lastIndex ?? ''}
    >
      <th scope="row">{id}</th>
      <td>
        <Role server={server} />
      </td>
      {numbers.map((value, at) => (
        <td key={COLUMNS[at]} class="number">
          {value ?? '–'}
        </td>
      ))}
      <td class="number">
        {leader?.id === id ? '–' : contactMs === null ? 'not lately' : heardText(contactMs)}
      </td>
    </tr>
  );
}

function heardText(ms: number): string {
  return ms < 1_000 ? 'now' : `${Math.floor(ms / 1_000)} s ago`;
}

function Spells({ spells }: { readonly spells: readonly Spell[] }): VNode {
  return (
    <section class="panel" aria-labelledby="spells-title">
      <div class="section-head">
        <h2 id="spells-title">Elections</h2>
        <span class="muted">since this page was opened</span>
      </div>
      {spells.length === 0 ? <p class="empty muted">No master has been seen yet.</p> : null}
      <ol class="spells" reversed>
        {spells.map((spell) => (
          <li key={spell.term} class="spell" data-testid="spell" data-term={spell.term}>
            <Icon name="crown" />
            <strong>{spell.leader}</strong>
            <span class="muted">term {spell.term}</span>
            <span class="muted spell-since">{spell.since === null ? null : <Ago iso={spell.since} />}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
