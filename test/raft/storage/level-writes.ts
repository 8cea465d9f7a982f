import { mock } from 'node:test';
import { Level } from 'level';

interface Batch {
  write(options: object): Promise<void>;
}

/**
 * Notes the options of every batch written to LevelDB from now on, until `mock.restoreAll`. With `failure` none is
 * written, and each fails with it.
 */
export function spyOnWrites(failure?: Error): readonly object[] {
  const writes: object[] = [];
  const begin = Reflect.get(Level.prototype, 'batch') as (this: unknown) => Batch;
  mock.method(Level.prototype, 'batch', function (this: unknown): Batch {
    const batch = begin.call(this);
    const write = batch.write.bind(batch);
    batch.write = (options) => {
      writes.push(options);
      return failure === undefined ? write(options) : Promise.reject(failure);
    };
    return batch;
  });
  return writes;
}
