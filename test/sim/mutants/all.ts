import { ELECTION_MUTANTS } from './election-mutants.ts';
import { MEMBERSHIP_MUTANTS } from './membership-mutants.ts';
import type { Mutant } from './mutant.ts';
import { READ_MUTANTS } from './read-mutants.ts';
import { REPLICATION_MUTANTS } from './replication-mutants.ts';
import { STORAGE_MUTANTS } from './storage-mutants.ts';
import { TASK_MUTANTS } from './task-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...READ_MUTANTS,
  ...MEMBERSHIP_MUTANTS,
  ...STORAGE_MUTANTS,
  ...TASK_MUTANTS,
];
