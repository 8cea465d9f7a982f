/** Ends an exhaustive switch: a new kind does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
