// The few shapes that TypeBox lacks (one of some words, something or null, a merge patch), and the words of a validator.
import { type Static, type TOptional, type TSchema, type TUnsafe, Type } from 'typebox';

/** One of a few words. */
export const oneOf = <const T extends readonly string[]>(values: T, description?: string) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...(description ? { description } : {}) });
/** As much of a schema as says whether it may be null. */
interface Kind {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly anyOf?: readonly TSchema[];
}
/** The schema, or null. A shape of members stays whole, so that the document can call it by its name. */
export const nullable = <T extends TSchema>(schema: T) =>
  'properties' in schema ? Type.Unsafe<Static<T> | null>({ anyOf: [schema, { type: 'null' }] }) : nullableInput(schema);
/** The same without a null that stands alone: programs that make clients do not understand one in what is strict. */
const nullableInput = <T extends TSchema>(schema: T): TUnsafe<Static<T> | null> => {
  const { type, enum: values, properties, anyOf } = schema as Kind;
  const [first, ...others] = anyOf ?? [];
  return Type.Unsafe<Static<T> | null>({
    ...schema,
    ...(first ? { anyOf: [nullableInput(first), ...others] } : { type: [type, 'null'] }),
    ...(values ? { enum: [...values, null] } : {}),
    ...(properties ? { properties: undescribed(properties) } : {}),
  });
};
export const strict = { additionalProperties: false } as const;

/** Texts by name. */
export const texts = (options: { readonly maxLength: number } & Readonly<Record<string, unknown>>) => {
  const { maxLength, ...rest } = options;
  const value = { type: 'string', maxLength };
  return Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: value, ...rest });
};

// Other languages need to be told that 32 bits are too few. At most 2^53 - 1: what a number of JavaScript can hold.
const wide = { format: 'int64' } as const;
/** An id or a count of bytes, as it is told. */
export const wideInteger = (more: object = {}) => Type.Integer({ ...wide, ...more });
/** The id of a content or a refusal, as a caller sends it. */
export const idInput = (more: object = {}) =>
  Type.Integer({ ...wide, minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...more });
/** The id of a webhook, as a caller sends it. */
export const whidInput = (more: object = {}) => Type.Integer({ ...wide, minimum: 0, maximum: 4_294_967_295, ...more });

/** The same without what is said of each member, for where that stands already. */
export const undescribed = <T extends Readonly<Record<string, TSchema>>>(properties: T): T =>
  Object.fromEntries(
    // A map keeps its name.
    Object.entries(properties).map(([name, schema]) => {
      const bare = 'propertyNames' in schema ? schema : { ...schema, description: undefined };
      return [name, Type.IsOptional(schema) ? Type.Optional(bare) : bare];
    }),
  ) as unknown as T;

/** RFC 7396: a member replaces, null goes back to the default, what is left out stays. */
export const mergePatch = <T extends Readonly<Record<string, TSchema>>>(properties: T) =>
  Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, Type.Optional(nullableInput(schema))]),
  ) as { [K in keyof T]: TOptional<TUnsafe<Static<T[K]> | null>> };

/** What is merged into a member: an object, or null. */
export const memberPatch = <T extends Readonly<Record<string, TSchema>>>(properties: T) =>
  nullableInput(Type.Object(mergePatch(undescribed(properties)), strict));

/** An HTTP method. */
export const METHOD = '^[A-Z-]{1,24}$';
/** The origin of a web site as browsers write it, or all. */
export const ORIGIN = '^(?:\\*|https?://[a-z0-9._-]+(?::[0-9]{1,5})?|https?://\\[[0-9a-f:]+\\](?::[0-9]{1,5})?)$';
export const WHID = '^(all|[0-9]{1,10})$';
// Not `.` and `..`: clients remove those from a path before they send it. No lookahead: not every tool that reads the document has it.
export const NAME =
  '^([A-Za-z0-9_-][A-Za-z0-9._-]{0,63}|\\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}|\\.\\.[A-Za-z0-9._-]{1,62})$';
/** An address of IPv4 or IPv6, with or without the length of a prefix; whether it is one is looked at later. */
export const NETWORK = '^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$';
export const LEASE = '^[A-Za-z0-9_-]+$';
/** What a pattern asks for, in words: an error shows no regular expression. */
const PATTERN_WORDS: Readonly<Record<string, string>> = {
  [WHID]: 'must be the number of a webhook, 0, or all',
  [METHOD]: 'must be a method such as POST',
  [ORIGIN]: 'must be * or an origin as browsers write it, such as https://app.example.org',
  [NETWORK]: 'must be an address or a network such as 10.0.0.0/8',
  [LEASE]: 'is not a lease. Send the text that the pull gave you',
  [NAME]: 'must be 1 to 64 letters, digits, dots, dashes or underscores, and not . or .. which cannot stand in a path',
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
/** Where in the value, and where in the schema. */
export interface PlacedFault extends FieldFault {
  readonly instancePath: string;
  readonly schemaPath: string;
}

/** What a validator says, in words: it says itself `must be integer,null`. */
export function faultWords({ keyword, params, message = 'is wrong' }: FieldFault): string {
  const listed = (value: unknown) => (Array.isArray(value) ? value : String(value).split(',')).map(String);
  if (keyword === 'type') return `must be ${either(listed(params.type).map((type) => TYPES[type] ?? type))}`;
  if (keyword === 'enum') return `must be ${either((params.allowedValues as readonly unknown[]).map(String))}`;
  return (keyword === 'pattern' && PATTERN_WORDS[String(params.pattern)]) || message;
}

/** As much of a schema as tells what it asks for. */
interface Asked {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Asked[];
}
function wordsOf({ type, enum: values, const: word, minimum, required = [], anyOf }: Asked): string[] {
  if (word !== undefined) return [String(word)];
  if (anyOf) return anyOf.flatMap(wordsOf);
  if (values) return values.map(String);
  if (required.length > 0) return [`{${required.map((name) => `"${name}": …`).join(', ')}}`];
  const from = minimum === undefined ? '' : ` from ${minimum}`;
  return [type ?? []].flat().map((one) => (TYPES[one] ?? one) + (one === 'integer' ? from : ''));
}

const stepInto = (value: unknown, name: string): unknown => (value as Record<string, unknown> | undefined)?.[name];

/**
 * A validator names what each branch of an `anyOf` asks for. The caller meant one: that of which least is wrong, if it is one alone. Else
 * one fault tells all that may stand there. `schema`: what the value was held against.
 */
export function settleUnions<T extends PlacedFault>(schema: unknown, faults: readonly T[]): T[] {
  let left = [...faults];
  // Inner unions come before the outer.
  for (const union of faults.filter(({ keyword }) => keyword === 'anyOf')) {
    const at = union.schemaPath.replace(/(\/anyOf)?$/, '/anyOf');
    const within = left.filter(({ schemaPath }) => schemaPath.startsWith(`${at}/`));
    const branches = at.split('/').slice(1).reduce(stepInto, schema) as readonly Asked[] | undefined;
    const ofBranch = (branches ?? []).map((_, i) =>
      within.filter(({ schemaPath }) => `${schemaPath}/`.startsWith(`${at}/${i}/`)),
    );
    const here = ({ instancePath, keyword }: T) =>
      instancePath === union.instancePath && ['type', 'enum', 'const', 'anyOf'].includes(keyword);
    const near = ofBranch.filter((some) => some.length > 0 && !some.some(here)).sort((a, b) => a.length - b.length);
    const [best, next] = near;
    const message = `must be ${either((branches ?? []).flatMap(wordsOf))}`;
    const told = best && best.length !== next?.length ? best : [{ ...union, message }];
    const from = left.findIndex((one) => within.includes(one) || one === union);
    left = left.filter((one) => !within.includes(one) && one !== union);
    left.splice(from, 0, ...told);
  }
  return left;
}
