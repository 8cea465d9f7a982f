import { ApiError } from '../api/errors.ts';
import type { OpResult } from './state/ops.ts';

/** @throws ApiError with the op's own code where it was refused */
export function throwIfRefused(result: OpResult): void {
  if (result.kind === 'refused') throw new ApiError(result.code, result.message);
}
