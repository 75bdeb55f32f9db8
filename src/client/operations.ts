// The calls of the API by method and path: what each takes and what it answers, read out of the generated types.
import type { operations } from './api.ts';

export type Operation = keyof operations;
/** Undefined is as good as left out, also where `exactOptionalPropertyTypes` is on. */
type OrUndefined<T> = { readonly [K in keyof T]: T[K] | undefined };
type Json<T> = T extends { readonly content: { readonly 'application/json': infer J } } ? J : never;
/** No JSON: bytes, or nothing. */
type Read<R> = R extends { readonly content: infer C }
  ? 'application/json' extends keyof C
    ? Json<R>
    : Uint8Array
  : undefined;

/** `never`: it takes none. */
export type Query<O extends Operation> = OrUndefined<NonNullable<operations[O]['parameters']['query']>>;
export type Body<O extends Operation> = Json<NonNullable<operations[O]['requestBody']>>;
export type Answer<O extends Operation> = Read<operations[O]['responses'][keyof operations[O]['responses']]>;
