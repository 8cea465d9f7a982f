import { StorageCorruptError } from './storage-errors.ts';

/** Typed access to the fields of a JSON record. Every method throws StorageCorruptError on what does not fit. */
export class Fields {
  readonly #key: string;
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(key: string, value: unknown) {
    if (typeof value !== 'object' || value === null)
      throw new StorageCorruptError(`record ${key} is no object`);
    this.#key = key;
    this.#values = new Map(Object.entries(value));
  }

  get(name: string): unknown {
    return this.#values.get(name);
  }

  /** Not negative. */
  integer(name: string): number {
    const value = this.get(name);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.#wrong(name);
  }

  text(name: string): string {
    const value = this.get(name);
    if (typeof value === 'string') return value;
    throw this.#wrong(name);
  }

  textOrNull(name: string): string | null {
    return this.get(name) === null ? null : this.text(name);
  }

  #wrong(name: string): StorageCorruptError {
    return new StorageCorruptError(`record ${this.#key} has no proper ${name}`);
  }
}
