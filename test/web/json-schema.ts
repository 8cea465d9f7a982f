/** As much of JSON Schema 2020-12 as the API's document uses: checking values, and making them up. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Said of a schema, not checked. */
const SILENT: ReadonlySet<string> = new Set(['description', 'format', 'default']);
const CHECKED: ReadonlySet<string> = new Set([
  ...['$ref', 'type', 'enum', 'const', 'anyOf', 'oneOf', 'minimum', 'maximum', 'minLength', 'maxLength'],
  ...['pattern', 'items', 'prefixItems', 'minItems', 'maxItems', 'properties', 'required'],
  ...['additionalProperties', 'propertyNames', 'maxProperties', 'dependentRequired'],
]);

/** What is wrong with values. With `closed` a property that is not declared is wrong, though the schema would allow it. */
export class Checker {
  readonly #schemas: Readonly<Record<string, JsonSchema>>;
  readonly #closed: boolean;

  constructor(schemas: Readonly<Record<string, JsonSchema>>, closed: boolean) {
    this.#schemas = schemas;
    this.#closed = closed;
  }

  resolve(schema: JsonSchema): JsonSchema {
    const ref = schema['$ref'];
    if (typeof ref !== 'string') return schema;
    const named = this.#schemas[ref.replace('#/components/schemas/', '')];
    if (named === undefined) throw new Error(`nothing is at ${ref}`);
    return named;
  }

  /** null: nothing. */
  wrong(given: JsonSchema, value: unknown, at = 'value'): string | null {
    const schema = this.resolve(given);
    for (const keyword of Object.keys(schema)) {
      if (!CHECKED.has(keyword) && !SILENT.has(keyword)) throw new Error(`${keyword} is not known here`);
    }
    return (
      this.#alternatives(schema, value, at) ??
      simple(schema, value, at) ??
      (Array.isArray(value) ? this.#array(schema, value, at) : null) ??
      (isObject(value) ? this.#object(schema, value, at) : null)
    );
  }

  #alternatives(schema: JsonSchema, value: unknown, at: string): string | null {
    const matching = (all: unknown): number =>
      (all as readonly JsonSchema[]).filter((one) => this.wrong(one, value, at) === null).length;
    if (schema['anyOf'] !== undefined && matching(schema['anyOf']) === 0) return `${at}: none of anyOf`;
    if (schema['oneOf'] !== undefined && matching(schema['oneOf']) !== 1) return `${at}: not one of oneOf`;
    return null;
  }

  #array(schema: JsonSchema, value: readonly unknown[], at: string): string | null {
    if (value.length < Number(schema['minItems'] ?? 0)) return `${at}: too few items`;
    if (value.length > Number(schema['maxItems'] ?? Infinity)) return `${at}: too many items`;
    const first = (schema['prefixItems'] ?? []) as readonly JsonSchema[];
    for (const [i, item] of value.entries()) {
      const wrong = this.wrong(first[i] ?? ((schema['items'] ?? {}) as JsonSchema), item, `${at}[${i}]`);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  #object(schema: JsonSchema, value: Readonly<Record<string, unknown>>, at: string): string | null {
    const keys = Object.keys(value);
    if (keys.length > Number(schema['maxProperties'] ?? Infinity)) return `${at}: too many properties`;
    for (const name of (schema['required'] ?? []) as readonly string[]) {
      if (!keys.includes(name)) return `${at}.${name}: missing`;
    }
    for (const [name, needed] of Object.entries(schema['dependentRequired'] ?? {})) {
      const missing = (needed as readonly string[]).find((other) => !keys.includes(other));
      if (keys.includes(name) && missing !== undefined) return `${at}.${missing}: missing with ${name}`;
    }
    const properties = schema['properties'] as Readonly<Record<string, JsonSchema>> | undefined;
    const rest = schema['additionalProperties'] ?? (this.#closed && properties !== undefined ? false : true);
    for (const key of keys) {
      const declared = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : null;
      if (declared == null && rest === false) return `${at}.${key}: not declared`;
      const names = schema['propertyNames'] as JsonSchema | undefined;
      const wrong =
        (names === undefined ? null : this.wrong(names, key, `${at}: the name ${key}`)) ??
        this.wrong(declared ?? (rest === true ? {} : (rest as JsonSchema)), value[key], `${at}.${key}`);
      if (wrong !== null) return wrong;
    }
    return null;
  }
}

function simple(schema: JsonSchema, value: unknown, at: string): string | null {
  const { type } = schema;
  if (
    type !== undefined &&
    !(Array.isArray(type) ? type : [type]).some((one) => isOfType(value, String(one)))
  )
    return `${at}: ${typeof value} is not ${JSON.stringify(type)}`;
  const allowed = schema['enum'] as readonly unknown[] | undefined;
  if (allowed !== undefined && !allowed.includes(value)) return `${at}: ${String(value)} is not in the enum`;
  if ('const' in schema && schema['const'] !== value) return `${at}: not the const`;
  if (typeof value === 'number') {
    if (value < Number(schema['minimum'] ?? -Infinity)) return `${at}: ${value} is too small`;
    if (value > Number(schema['maximum'] ?? Infinity)) return `${at}: ${value} is too big`;
  }
  if (typeof value === 'string') {
    if (value.length < Number(schema['minLength'] ?? 0)) return `${at}: too short`;
    if (value.length > Number(schema['maxLength'] ?? Infinity)) return `${at}: too long`;
    if (schema['pattern'] !== undefined && !new RegExp(schema['pattern'] as string, 'u').test(value))
      return `${at}: does not match ${schema['pattern'] as string}`;
  }
  return null;
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same numbers in every run of one seed. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to `sides` - 1. */
  roll(sides: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * sides);
  }

  oneIn(sides: number): boolean {
    return this.roll(sides) === 0;
  }

  pick<T>(all: readonly T[]): T {
    const picked = all[this.roll(all.length)];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  }
}

const WORDS = ['a', 'job', '0', 'PATH', 'naïve ☃', 'x y', '../..', '__proto__', '<b>', '-1', 'true', '%00'];
const ANYTHING: readonly unknown[] = [null, true, -1, 1.5, 1e308, '', 'x', '\0', [], {}, [[]], { a: 1 }];

/** Makes values up: `valid` ones by the schema (as far as it can), and ones with something wrong somewhere. */
export class Maker {
  readonly #checker: Checker;
  readonly #dice: Dice;

  constructor(checker: Checker, dice: Dice) {
    this.#checker = checker;
    this.#dice = dice;
  }

  valid(given: JsonSchema): unknown {
    const schema = this.#checker.resolve(given);
    const dice = this.#dice;
    if (schema['enum'] !== undefined) return dice.pick(schema['enum'] as readonly unknown[]);
    if (schema['anyOf'] !== undefined) return this.valid(dice.pick(schema['anyOf'] as readonly JsonSchema[]));
    switch (schema['type']) {
      case 'boolean':
        return dice.oneIn(2);
      case 'integer':
      case 'number':
        return this.#number(schema);
      case 'string':
        return this.#text(schema);
      case 'array': {
        const first = (schema['prefixItems'] ?? []) as readonly JsonSchema[];
        const length = Math.max(Number(schema['minItems'] ?? 0), dice.roll(4));
        return Array.from({ length }, (_, i) =>
          this.valid(first[i] ?? ((schema['items'] ?? {}) as JsonSchema)),
        );
      }
      case 'object':
        return this.#object(schema);
      case 'null':
        return null;
      default:
        return dice.pick(ANYTHING);
    }
  }

  /** A valid one with one thing changed; that it is wrong then is likely, not certain. */
  changed(given: JsonSchema): unknown {
    return this.#change(this.valid(given));
  }

  #change(value: unknown): unknown {
    const dice = this.#dice;
    if (dice.oneIn(4)) return dice.pick(ANYTHING);
    if (Array.isArray(value)) {
      if (value.length === 0 || dice.oneIn(4)) return [...(value as unknown[]), dice.pick(ANYTHING)];
      const at = dice.roll(value.length);
      return value.map((item: unknown, i) => (i === at ? this.#change(item) : item));
    }
    if (isObject(value)) {
      const keys = Object.keys(value);
      if (keys.length === 0 || dice.oneIn(4)) return { ...value, [dice.pick(WORDS)]: dice.pick(ANYTHING) };
      const key = dice.pick(keys);
      if (dice.oneIn(3)) return Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
      return { ...value, [key]: this.#change(value[key]) };
    }
    if (typeof value === 'number') return dice.pick([-value - 1, value + 0.5, value * 1e6, 2 ** 53]);
    if (typeof value === 'string') return dice.pick(['', `${value}\0`, value.repeat(300), 'é'.repeat(5_000)]);
    return dice.pick(ANYTHING);
  }

  #number(schema: JsonSchema): number {
    const min = Number(schema['minimum'] ?? -1_000);
    const max = Number(schema['maximum'] ?? 1_000);
    return this.#dice.pick([min, max, min + this.#dice.roll(Math.min(max - min + 1, 1_000))]);
  }

  #text(schema: JsonSchema): string {
    for (let tries = 0; tries < 20; tries += 1) {
      const words = Array.from({ length: 1 + this.#dice.roll(3) }, () => this.#dice.pick(WORDS)).join('');
      const text = this.#dice.pick([words, `/${words}`, words.replace(/[^a-z]/g, ''), '5ms']);
      if (this.#checker.wrong(schema, text) === null) return text;
    }
    return this.#dice.pick(WORDS);
  }

  #object(schema: JsonSchema): object {
    const properties = Object.entries((schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>);
    const choices = schema['oneOf'] as readonly { readonly required: readonly string[] }[] | undefined;
    const chosen = choices === undefined ? [] : this.#dice.pick(choices).required;
    const excluded = (choices ?? [])
      .flatMap(({ required }) => required)
      .filter((one) => !chosen.includes(one));
    const required = [...((schema['required'] ?? []) as readonly string[]), ...chosen];
    const taken = properties.filter(
      ([name]) => required.includes(name) || (!excluded.includes(name) && this.#dice.oneIn(4)),
    );
    const made: Record<string, unknown> = Object.fromEntries(
      taken.map(([name, one]) => [name, this.valid(one)]),
    );
    for (const [name, needed] of Object.entries(schema['dependentRequired'] ?? {})) {
      if ((needed as readonly string[]).some((other) => !(other in made))) Reflect.deleteProperty(made, name);
    }
    const rest = schema['additionalProperties'];
    if (!isObject(rest)) return made;
    const names = (schema['propertyNames'] ?? { type: 'string' }) as JsonSchema;
    const entries = Array.from({ length: this.#dice.roll(3) }, () => [this.#text(names), this.valid(rest)]);
    return { ...made, ...(Object.fromEntries(entries) as object) };
  }
}
