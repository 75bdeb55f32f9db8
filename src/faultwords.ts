// What a validator says of a value, in words that say what it must be.
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

/** Validators name types and values as programs do: `must be integer,null`. */
export function faultWords({ keyword, params, message }: Fault): string {
  const listed = (value: unknown) => (Array.isArray(value) ? value : String(value).split(',')).map(String);
  if (keyword === 'type') return `must be ${either(listed(params.type).map((type) => TYPES[type] ?? type))}`;
  if (keyword === 'enum') return `must be ${either((params.allowedValues as readonly unknown[]).map(String))}`;
  return message;
}
