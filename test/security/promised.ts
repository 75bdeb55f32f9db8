// Holds an answer of the API against its document: the status, the type, the shape.
import { Compile } from 'typebox/schema';
import type { Answer } from '../support/raw.ts';
import type { Schema, Target } from './calls.ts';

export const PROBLEM = 'application/problem+json';
const compiled = new WeakMap<Schema, ReturnType<typeof Compile>>();

/** What is wrong with an answer by the document: undefined when it is one that the document promises. */
export function faultOf({ operation, path }: Target, answer: Answer): string | undefined {
  const { status, headers } = answer;
  const body = answer.body.toString();
  const told = `${status} ${body.slice(0, 300)}`;
  // Its owner has switched it off.
  if (status === 503 && path.startsWith('/in/') && body.includes('switched off')) return undefined;
  if (status >= 500) return `is an error of the server: ${told}`;
  // A webhook answers with what its owner configured.
  const receives = path.startsWith('/in/') && status < 300;
  const promised = operation.responses[String(status)] ?? (receives ? {} : undefined);
  if (!promised) return `has a status that is not documented: ${told}`;
  if (headers.get('x-content-type-options') !== 'nosniff') return `lacks nosniff: ${told}`;
  const type = headers.get('content-type')?.replace(/;.*/, '') ?? '';
  if (status >= 400 && type !== PROBLEM) return `is no problem but ${type}: ${told}`;
  if (receives) return undefined;
  if (promised.content === undefined) return body === '' ? undefined : `has a body: ${told}`;
  const schema = promised.content[type]?.schema;
  if (!schema) return `is ${type}, which is not documented: ${told}`;
  if (!type.endsWith('json')) return undefined;
  const check = compiled.get(schema) ?? Compile(schema);
  compiled.set(schema, check);
  const value: unknown = JSON.parse(body);
  if (!check.Check(value)) return `does not fit its schema: ${JSON.stringify(check.Errors(value)[1])}: ${told}`;
  const { title = '', detail = '', status: same } = value as Record<string, unknown>;
  if (status >= 400 && (same !== status || String(title).length < 4 || String(detail).length < 11))
    return `tells too little: ${told}`;
  return undefined;
}
