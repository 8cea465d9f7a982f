import type { ProposeResult } from '../consensus.ts';
import { withAddresses } from '../core/configuration.ts';
import { sameConfiguration } from '../core/membership.ts';
import type { RaftCore } from '../core/raft-core.ts';
import type { Configuration, NodeId, Term } from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { RaftTransport } from '../transport/transport.ts';

export type ConfigurationListener = (config: Configuration, isCommitted: boolean) => void;

export interface ConfigurationNewsOptions {
  readonly self: NodeId;
  readonly core: Pick<RaftCore, 'role' | 'currentTerm' | 'configuration' | 'isConfigurationCommitted'>;
  readonly transport: RaftTransport;
  readonly log: RaftLogger;
  /** Those this server was started with; undefined: none. */
  readonly addresses: Readonly<Record<NodeId, string>> | undefined;
  readonly isRunning: () => boolean;
  readonly propose: (config: Configuration) => Promise<ProposeResult<null>>;
  readonly onRemoved: ((by: NodeId) => void) | undefined;
}

/** Tells the transport and the listeners who takes part, and keeps the servers' addresses in the configuration. */
export class ConfigurationNews {
  readonly #options: ConfigurationNewsOptions;
  readonly #listeners = new Set<ConfigurationListener>();
  /** What was told last. */
  #told: { readonly config: Configuration; readonly isCommitted: boolean } | null = null;
  /** The term in which the addresses were looked after. */
  #addressedTerm = 0;

  constructor(options: ConfigurationNewsOptions) {
    this.#options = options;
  }

  /** Called when another configuration is in force, and again when it is committed; returns the unsubscriber. */
  onConfigured(listener: ConfigurationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called after every step: who takes part may have changed, or can't be taken back any more. */
  tell(): void {
    const { core, self, transport, isRunning, onRemoved } = this.#options;
    const { configuration: config, isConfigurationCommitted: isCommitted } = core;
    const told = this.#told;
    if (!isRunning() || (told?.config === config && told.isCommitted === isCommitted)) return;
    this.#told = { config, isCommitted };
    transport.configured?.(config, isCommitted);
    for (const listener of [...this.#listeners]) listener(config, isCommitted);
    if (isCommitted && config.removed?.includes(self) === true) onRemoved?.(self);
  }

  /**
   * A new leader, once nothing of earlier terms can follow, writes the addresses it was started with into the configuration
   * where that has none yet (stored by a version that kept none) or others (the servers were moved).
   */
  keepAddresses(appliedTerm: Term): void {
    const { addresses, core, propose, log } = this.#options;
    if (addresses === undefined || core.role !== 'leader') return;
    const term = core.currentTerm;
    if (appliedTerm !== term || this.#addressedTerm === term) return;
    this.#addressedTerm = term;
    const config = core.configuration;
    const wanted = withAddresses(config, addresses);
    if (sameConfiguration(config, wanted)) return;
    void propose(wanted).then((result) => {
      if (result.kind === 'applied') log.info('raft: the addresses of the servers are written down');
    });
  }
}
