// Helps the tests of consumers: a service with a user, contents that have their positions, and calls as a worker makes them.

import { type Service, startService, type TestUser } from '../support/engines.ts';

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
  /** Stores contents of this user and waits until they have their positions; resolves with their ids, which rise. */
  send(texts: readonly (string | Buffer)[], whId?: number): Promise<number[]>;
  /** The same service for another user. */
  another(): Promise<Desk>;
}

export async function openDesk(databaseUrl: string, env: Record<string, string> = {}): Promise<Desk> {
  const service = await startService(databaseUrl, env);
  return deskOf(service, await service.user());
}

export function deskOf(service: Service, user: TestUser): Desk {
  const { parts } = service;
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
      const store = (text: string | Buffer) =>
        parts.writer.write({
          user_id: user.id,
          wh_id: whId,
          content: Buffer.from(text as string),
          api: 1,
          dt: '2026-11-22 10:00:00',
          received_ms: Date.now(),
          ip: '3.18.12.63',
          head: Buffer.from('POST /in/k HTTP/1.1\r\n'),
          judged: null,
        });
      // At once, two transactions may store them, and the later text may have the lower id: a few go one after the other.
      const ids: number[] = [];
      if (texts.length > 10) ids.push(...(await Promise.all(texts.map(store))));
      else for (const text of texts) ids.push(await store(text));
      await placed(service, Math.max(...ids));
      return ids.sort((a, b) => a - b);
    },
    another: async () => deskOf(service, await service.user()),
  };
}

/** Resolves when the tail has come to this content, and those who wait were told of it. */
export async function placed({ parts }: Service, id: number): Promise<void> {
  for (const until = Date.now() + 30_000; Date.now() < until; ) {
    if (parts.tail.readableId >= id) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`content ${id} has no position`);
}
