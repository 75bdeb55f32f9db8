// The few shapes that TypeBox lacks (one of some words, something or null, a merge patch), and the words of a validator.
import { type Static, type TOptional, type TSchema, type TUnsafe, Type } from 'typebox';

/** One of a few words. */
export const oneOf = <const T extends readonly string[]>(values: T, description?: string) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...(description ? { description } : {}) });
/** The schema, or null: as `type: [x, "null"]`, which serialises faster than `anyOf`. */
export const nullable = <T extends TSchema>(schema: T) => {
  const { type, enum: values } = schema as { type?: string | string[]; enum?: readonly string[] };
  return Type.Unsafe<Static<T> | null>({
    ...schema,
    type: [type, 'null'].flat(),
    ...(values ? { enum: [...values, null] } : {}),
  });
};
export const strict = { additionalProperties: false } as const;

/** RFC 7396: a member replaces, null goes back to the default, what is left out stays. */
export const mergePatch = <T extends Readonly<Record<string, TSchema>>>(properties: T) =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, Type.Optional(nullable(schema))])) as {
    [K in keyof T]: TOptional<TUnsafe<Static<T[K]> | null>>;
  };

/** An HTTP method. */
export const METHOD = '^[A-Z-]{1,24}$';

const TYPES: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

/** `a, b or c`. */
const either = (words: readonly string[]): string =>
  [words.slice(0, -1).join(', '), words.at(-1)].filter(Boolean).join(' or ');

interface Fault {
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** What a validator says, in words: it says itself `must be integer,null`. */
export function faultWords({ keyword, params, message }: Fault): string {
  const listed = (value: unknown) => (Array.isArray(value) ? value : String(value).split(',')).map(String);
  if (keyword === 'type') return `must be ${either(listed(params.type).map((type) => TYPES[type] ?? type))}`;
  if (keyword === 'enum') return `must be ${either((params.allowedValues as readonly unknown[]).map(String))}`;
  return message;
}
