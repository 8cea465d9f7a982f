/** The kept log of one server, checked as it comes, and looked up afterwards. */
import type { AuditEntry, AuditFact, AuditStretch } from '../api/audit.ts';
import type { Findings } from './checks.ts';

/** What the servers' logs hold, all together: to compare one server's with the others'. */
export class LogUnion {
  readonly #entries = new Map<
    number,
    { readonly term: number; readonly digest: string; readonly server: string }
  >();

  /** Compares a committed entry with what another server has there. */
  compare(findings: Findings, server: string, entry: AuditEntry): void {
    const known = this.#entries.get(entry.index);
    if (known === undefined) {
      this.#entries.set(entry.index, { term: entry.term, digest: entry.digest, server });
      return;
    }
    findings.expect(known.term === entry.term && known.digest === entry.digest, 'log', () => ({
      server,
      task: null,
      index: entry.index,
      message:
        `entry ${entry.index} is of term ${entry.term} with digest ${entry.digest.slice(0, 12)}, but on ${known.server} ` +
        `of term ${known.term} with digest ${known.digest.slice(0, 12)}`,
    }));
  }
}

export class LogAudit {
  readonly #server: string;
  readonly #findings: Findings;
  /** Facts by the index of their entry. */
  readonly #facts = new Map<number, readonly AuditFact[]>();
  #firstIndex = 0;
  #last: { readonly index: number; readonly term: number } | null = null;
  #chain: number | null = null;
  /** Terms whose first entry was seen. */
  readonly #terms = new Map<number, number>();
  readonly #termStarts = new Set<number>();

  constructor(server: string, findings: Findings) {
    this.#server = server;
    this.#findings = findings;
  }

  /** First kept entry; 0 while there is none. */
  get firstIndex(): number {
    return this.#firstIndex;
  }

  get lastIndex(): number {
    return this.#last?.index ?? 0;
  }

  /** @returns the facts of a kept entry; null where it is not kept */
  factsAt(index: number): readonly AuditFact[] | null {
    return this.#facts.get(index) ?? null;
  }

  /** Whether a leader's term begins with this entry. */
  isTermStart(index: number): boolean {
    return this.#termStarts.has(index);
  }

  entries(): Iterable<readonly [index: number, facts: readonly AuditFact[]]> {
    return this.#facts;
  }

  add(stretch: AuditStretch): void {
    const first = stretch.entries[0];
    if (this.#chain !== null) {
      this.#findings.expect(this.#chain === stretch.chainBefore, 'disk', () => ({
        server: this.#server,
        task: null,
        index: first?.index ?? null,
        message: `what is stored from entry ${first?.index ?? '?'} on does not continue the log before it (chain value)`,
      }));
    }
    this.#chain = stretch.chainAfter;
    for (const entry of stretch.entries) this.#addEntry(entry);
  }

  #addEntry(entry: AuditEntry): void {
    const { index, term } = entry;
    const last = this.#last;
    if (last === null) this.#firstIndex = index;
    const where = { server: this.#server, task: null, index };
    if (last !== null) {
      this.#findings.expect(index === last.index + 1, 'terms', () => ({
        ...where,
        message: `entry ${last.index} is followed by entry ${index}`,
      }));
      this.#findings.expect(term >= last.term, 'terms', () => ({
        ...where,
        message: `the term falls from ${last.term} to ${term}`,
      }));
      // Figure 2 and §8: a leader's first entry is an empty one; nobody else can have written in its term.
      if (term !== last.term) {
        this.#findings.expect(entry.kind === 'noop', 'terms', () => ({
          ...where,
          message: `term ${term} begins with a ${entry.kind}, not with a leader's first entry`,
        }));
      }
    }
    if (entry.kind === 'noop') this.#addTermStart(index, term);
    this.#facts.set(index, entry.facts);
    this.#last = { index, term };
  }

  #addTermStart(index: number, term: number): void {
    const before = this.#terms.get(term);
    this.#findings.expect(before === undefined, 'terms', () => ({
      server: this.#server,
      task: null,
      index,
      message: `term ${term} began at entry ${before ?? '?'} and again at entry ${index}`,
    }));
    this.#terms.set(term, index);
    this.#termStarts.add(index);
  }
}
