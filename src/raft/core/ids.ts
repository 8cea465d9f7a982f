/** The only makers of branded numbers. Each asserts the safe-integer range (raft.md item 48). */
import { assert, invariantBroken } from './assert.ts';
import type { LogIndex, NodeId, ProposalId, ReadId, Term, WriteId } from './types.ts';

function checked(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    invariantBroken(`${what} must be a safe integer ≥ 0, not ${value}`);
  }
  return value;
}

export function asTerm(value: number): Term {
  return checked(value, 'term') as Term;
}
export function asLogIndex(value: number): LogIndex {
  return checked(value, 'log index') as LogIndex;
}
export function asWriteId(value: number): WriteId {
  return checked(value, 'write id') as WriteId;
}
export function asProposalId(value: number): ProposalId {
  return checked(value, 'proposal id') as ProposalId;
}
export function asReadId(value: number): ReadId {
  return checked(value, 'read id') as ReadId;
}
export function asNodeId(value: string): NodeId {
  assert(value.length > 0, 'a node id must not be empty');
  return value as NodeId;
}

/** "Before the log", and the term of nothing. */
export const INDEX_ZERO: LogIndex = asLogIndex(0);
/** Where every log begins. */
export const FIRST_INDEX: LogIndex = asLogIndex(1);
export const TERM_ZERO: Term = asTerm(0);

/** The one after. */
export function next<T extends LogIndex | Term | WriteId>(value: T): T {
  return checked(value + 1, 'successor') as T;
}

/** The one before; 0 has none. */
export function previous<T extends LogIndex | Term>(value: T): T {
  return checked(value - 1, 'predecessor') as T;
}

/** `count` positions further. */
export function plus(index: LogIndex, count: number): LogIndex {
  return checked(index + count, 'log index') as LogIndex;
}

export function minIndex(a: LogIndex, b: LogIndex): LogIndex {
  return a < b ? a : b;
}

export function maxIndex(a: LogIndex, b: LogIndex): LogIndex {
  return a > b ? a : b;
}
