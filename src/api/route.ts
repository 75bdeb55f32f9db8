// A route is one object: validation, types, sign-in, documentation and its examples all read it.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TObject, TSchema } from 'typebox';
import type { Cancellation } from '../reading/tail.ts';

export interface Call<Q extends TSchema, P extends TSchema, B extends TSchema> {
  readonly query: Static<Q>;
  readonly params: Static<P>;
  readonly body: Static<B>;
  /** The signed-in user; 0 on public routes. */
  readonly userId: number;
  /** For classic calls: names the query parameters that were ignored. */
  readonly hint: { readonly hint?: string };
  /** For calls that wait: aborted when the caller is gone, its token revoked, or the service stops (`reason`: see cancellation.ts). */
  readonly watch: () => Cancellation;
  /** For calls that do not wait: aborted when the caller is gone, so that nothing is done for it. */
  readonly whileOpen: () => Cancellation;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface RouteOptions<Parts, Q extends TSchema, P extends TSchema, B extends TSchema> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly tag: string;
  /** What programs that are made from the document call it. Default: made of the method and the address. */
  readonly operationId?: string;
  /** For the operator alone: not in the documentation of users. */
  readonly hidden?: true;
  readonly summary: string;
  readonly description?: string;
  /**
   * classic: one of the five calls of the first version, unknown query parameters are ignored with a hint.
   * extended: needs the restante_* tables. public: no sign-in.
   */
  readonly kind: 'classic' | 'plain' | 'extended' | 'public';
  readonly query?: Q;
  readonly params?: P;
  readonly body?: B;
  /** The body as bytes, whatever its Content-Type says. */
  readonly rawBody?: true;
  /** By status: the schema, and an example of what comes. */
  readonly answers: Readonly<
    Record<number, { schema?: TSchema; example?: unknown; description: string; type?: string }>
  >;
  /** Statuses of problems that cannot be told from the rest of this object. */
  readonly problems?: readonly number[];
  /** Names the parts of the service that it takes, in the type of its first argument. */
  readonly handler: (parts: Parts, call: Call<Q, P, B>) => unknown;
}

/** A route whose types are checked against its own schemas; erased to one shape for the table. */
export const route = <Parts, Q extends TSchema = TObject, P extends TSchema = TObject, B extends TSchema = TObject>(
  options: RouteOptions<Parts, Q, P, B>,
): Route<Parts> => options as unknown as Route<Parts>;
/** `Parts`: what its handler takes; a route that takes less fits where more is given. */
export type Route<Parts = never> = RouteOptions<Parts, TSchema, TSchema, TSchema> & { readonly query?: TObject };
