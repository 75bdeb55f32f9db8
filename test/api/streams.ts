// An event stream read by hand, and what a service asks its database meanwhile.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { vi } from 'vitest';
import type { Db } from '../../src/store/db.ts';
import type { Service, TestUser } from '../support/engines.ts';

/** Counts what the service asks the database through one of its seams. */
export function countQueries(db: Db): { readonly asked: number; readonly texts: string[] } {
  const texts: string[] = [];
  for (const name of ['all', 'search', 'run', 'scan'] as const) {
    const before = db[name] as (...given: unknown[]) => unknown;
    vi.spyOn(db, name).mockImplementation(((...given: unknown[]) => {
      texts.push(String(given[0]));
      return before.apply(db, given);
    }) as never);
  }
  return {
    get asked() {
      return texts.length;
    },
    texts,
  };
}

/** An event stream, read by hand: EventSource cannot sign in. */
export async function openStream(
  service: Service,
  user: TestUser,
  query: string,
  headers: Record<string, string> = {},
) {
  const given = { authorization: user.auth, accept: 'text/event-stream', ...headers };
  const request = httpRequest(`${service.url}/whcontent?${query}`, { headers: given, agent: false }).end();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  let text = '';
  let ended = false;
  response.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  response.on('close', () => {
    ended = true;
  });
  return {
    response,
    request,
    get text() {
      return text;
    },
    get ended() {
      return ended;
    },
    events: () =>
      text
        .split('\n\n')
        .filter((block) => block.includes('event: '))
        .map((block) => ({
          id: /^id: (\d+)$/m.exec(block)?.[1],
          event: /^event: (\w+)$/m.exec(block)?.[1],
          data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? 'null') as Record<string, unknown>,
        })),
  };
}
