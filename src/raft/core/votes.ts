import { majority } from './quorum.ts';
import type { NodeId } from './types.ts';

/** The answers to one campaign (or pre-campaign). A server's first answer counts. */
export class VoteTally {
  readonly #answers = new Map<NodeId, boolean>();

  record(from: NodeId, granted: boolean): void {
    if (!this.#answers.has(from)) this.#answers.set(from, granted);
  }

  /** `voters`: the configuration in force; answers of others are kept, but don't count. */
  result(voters: readonly NodeId[]): 'won' | 'lost' | 'open' {
    let granted = 0;
    let refused = 0;
    for (const voter of voters) {
      const answer = this.#answers.get(voter);
      if (answer === true) granted++;
      else if (answer === false) refused++;
    }
    const needed = majority(voters.length);
    if (granted >= needed) return 'won';
    // Those who have not answered can't make a majority any more.
    return voters.length - refused < needed ? 'lost' : 'open';
  }
}
