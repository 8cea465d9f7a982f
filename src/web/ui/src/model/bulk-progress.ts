/** How far a bulk action is. */
export type BulkKind = 'cancel' | 'retry';

export interface BulkProgress {
  readonly what: BulkKind;
  /** null while they are still being looked up. */
  readonly total: number | null;
  readonly done: number;
  readonly failed: number;
  readonly failures: readonly { readonly id: string; readonly message: string }[];
  readonly state: 'running' | 'stopped' | 'over';
}
