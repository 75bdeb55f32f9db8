// Helps the tests of consumers: a service with a user, contents that have their positions, and calls as a worker makes them.
import { createConsumers } from '../src/flow/consumers.ts';
import { buildApp, ROUTES } from '../src/http/app.ts';
import type { Route } from '../src/http/route.ts';
import type { AddressInfo } from 'node:net';
import * as actions from '../src/http/consumeractions.ts';
import * as consumers from '../src/http/consumers.ts';
import type { Context } from '../src/http/context.ts';
import { traceContent } from '../src/http/trace.ts';
import { type Service, startService, type TestUser } from './engines.ts';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects
  readonly body: any;
}

export interface Desk {
  readonly service: Service;
  readonly user: TestUser;
  call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer>;
  /** POST to a consumer. */
  act(name: string, verb: string, body?: unknown): Promise<Answer>;
  pull(name: string, body?: object): Promise<Answer['body']>;
  /** Stores contents of this user and waits until they have their positions; resolves with their ids. */
  send(texts: readonly (string | Buffer)[], whId?: number): Promise<number[]>;
  /** The same service for another user. */
  another(): Promise<Desk>;
}

export async function openDesk(databaseUrl: string, env: Record<string, string> = {}): Promise<Desk> {
  const service = await start(databaseUrl, env);
  return deskOf(service, await service.user());
}

// TEMPORARY until context and route table have them
async function start(databaseUrl: string, env: Record<string, string>): Promise<Service> {
  if (ROUTES.includes(consumers.putConsumer as never)) return startService(databaseUrl, env);
  const service = await startService(databaseUrl, env);
  const { context, store } = service;
  const made = createConsumers({ store, tail: context.tail, maxPageBytes: context.config.maxPageBytes, log: context.log });
  const more = [...Object.values(actions), ...Object.values(consumers), traceContent].filter(
    (one) => typeof one === 'object' && 'handler' in one,
  ) as unknown as Route[];
  const app = await buildApp({ ...context, consumers: made } as Context, more);
  await app.fastify.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const close = async () => {
    made.close();
    await app.close();
    await service.close();
  };
  return { ...service, app, port, url: `http://127.0.0.1:${port}`, context: { ...context, consumers: made } as Context, close };
}

export function deskOf(service: Service, user: TestUser): Desk {
  const { store, context } = service;
  const call: Desk['call'] = async (method, path, body, signal) => {
    const answer = await fetch(service.url + path, {
      method,
      headers: { authorization: user.auth },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  const act: Desk['act'] = (name, verb, body) => call('POST', `/consumers/${name}/${verb}`, body);
  return {
    service,
    user,
    call,
    act,
    async pull(name, body = {}) {
      const answer = await act(name, 'pull', body);
      if (answer.status !== 200) throw new Error(`pull: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    async send(texts, whId = 0) {
      const ids = await Promise.all(
        texts.map((text) =>
          context.writer.write({
            user_id: user.id,
            wh_id: whId,
            content: Buffer.from(text as string),
            api: 1,
            dt: '2026-11-22 10:00:00',
            received_ms: Date.now(),
            ip: '3.18.12.63',
            head: Buffer.from('POST /in/k HTTP/1.1\r\n'),
          }),
        ),
      );
      await placed(service, Math.max(...ids));
      return ids;
    },
    another: async () => deskOf(service, await service.user()),
  };
}

/** Resolves when the sequencer has come to this content. */
export async function placed({ store }: Service, id: number): Promise<void> {
  for (const until = Date.now() + 10_000; Date.now() < until; ) {
    if ((await store.db.all('SELECT 1 AS one FROM restante_position WHERE id = ?', [id])).length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`content ${id} has no position`);
}
