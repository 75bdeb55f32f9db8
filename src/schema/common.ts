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
/** The origin of a web site as browsers write it, or all. */
export const ORIGIN = '^(?:\\*|https?://[a-z0-9._-]+(?::[0-9]{1,5})?|https?://\\[[0-9a-f:]+\\](?::[0-9]{1,5})?)$';
export const ID = '^(latest|[0-9]{1,15})$';
export const WHID = '^(all|[0-9]{1,10})$';
// Not `.` and `..`: clients remove those from a path before they send it. No lookahead: not every tool that reads the document has it.
export const NAME =
  '^([A-Za-z0-9_-][A-Za-z0-9._-]{0,63}|\\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}|\\.\\.[A-Za-z0-9._-]{1,62})$';
export const WHERE = '^(earliest|latest)$';
/** What a pattern asks for, in words: an error shows no regular expression. */
const PATTERN_WORDS: Readonly<Record<string, string>> = {
  [ID]: 'must be a whole number from 0, or latest',
  [WHID]: 'must be the number of a webhook, 0, or all',
  [METHOD]: 'must be a method such as POST',
  [ORIGIN]: 'must be * or an origin as browsers write it, such as https://app.example.org',
  [NAME]: 'must be 1 to 64 letters, digits, dots, dashes or underscores, and not . or .. which cannot stand in a path',
  [WHERE]: 'must be earliest, latest, {"id": …} or {"time": …}',
};

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

/** What a validator says of one value. */
export interface FieldFault {
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

/** What a validator says, in words: it says itself `must be integer,null`. */
export function faultWords({ keyword, params, message = 'is wrong' }: FieldFault): string {
  const listed = (value: unknown) => (Array.isArray(value) ? value : String(value).split(',')).map(String);
  if (keyword === 'type') return `must be ${either(listed(params.type).map((type) => TYPES[type] ?? type))}`;
  if (keyword === 'enum') return `must be ${either((params.allowedValues as readonly unknown[]).map(String))}`;
  return (keyword === 'pattern' && PATTERN_WORDS[String(params.pattern)]) || message;
}
