// The SDK against a running service: every call, and contents that come once whatever happens to the loop.
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientTypes } from '../../scripts/client-types.ts';
import { createClient, RestanteError } from '../../src/client/index.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

describe('the SDK', () => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  const clientOf = (more = {}) => createClient({ url: service.url, auth: `${user.id}:${user.token}`, ...more });

  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url);
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const post = async (count: number, from = 0) => {
    const client = clientOf();
    for (let i = 0; i < count; i += 50)
      await Promise.all(
        Array.from({ length: Math.min(50, count - i) }, (_, n) => client.contents.post(`{"n":${from + i + n}}`)),
      );
  };

  test('has a method for every call of the API', async () => {
    const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as { paths: Record<string, object> };
    const source = readFileSync('src/client/index.ts', 'utf8');
    const calls = Object.entries(document.paths)
      .filter(([path]) => !path.startsWith('/in/'))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    expect(calls.length).toBeGreaterThan(25);
    const missing = calls.filter((call) => !source.includes(`'${call}'`));
    expect(missing).toEqual([]);
  });

  test('has types that are those of the API document', async () => {
    expect(readFileSync('src/client/api.ts', 'utf8') === (await clientTypes()), 'npm run client-types').toBe(true);
  });

  test('is small, and imports nothing', async () => {
    const { outputFiles } = await build({
      entryPoints: ['src/client/index.ts'],
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'neutral',
      write: false,
    });
    const [file] = outputFiles;
    // 1.1 KB of it is eventsource-parser: a parser that others maintain is worth a kilobyte more than one of ours.
    expect(gzipSync(file?.contents ?? '').length).toBeLessThan(6.75 * 1024);
    expect(file?.text).not.toMatch(/\bimport\b|\brequire\(/);
  });

  test('makes, reads, changes, rotates and deletes a webhook, and reads what it received', async () => {
    const client = clientOf();
    expect(await client.verify()).toMatchObject({ username: String(user.id) });
    const made = await client.webhooks.create({ wh_name: 'SDK', preset: 'github', secrets: ['top secret of ours'] });
    expect((await client.webhooks.list()).webhooks.map(({ wh_id }) => wh_id)).toContain(made.wh_id);
    expect(await client.webhooks.update(made.wh_id, { wh_name: 'Renamed' })).toMatchObject({ wh_name: 'Renamed' });
    await client.webhooks.update(made.wh_id, { preset: null, secrets: null });
    const bytes = Buffer.from([0xff, 0x00, 0x7b, 0x0d, 0x0a]);
    const headers = { 'X-Twice': 'a', 'Content-Type': 'application/octet-stream' };
    await fetch(`${service.url}${pathOf(made as never)}/sub?x=%20y`, { method: 'PUT', body: bytes, headers });
    const { whcontent } = await client.contents.list({ whid: made.wh_id, wait: 5 });
    const [content] = whcontent;
    if (!content) throw new Error('nothing came');
    expect(Buffer.from(content.bytes()).equals(bytes)).toBe(true);
    expect(Buffer.from(await client.contents.raw(content.id)).equals(bytes)).toBe(true);
    expect(content.header('x-twice')).toBe('a');
    const request = content.toRequest();
    expect([request?.method, request?.url]).toEqual(['PUT', `${made.wh_url}/sub?x=%20y`]);
    expect(Buffer.from((await request?.arrayBuffer()) ?? new ArrayBuffer(0)).equals(bytes)).toBe(true);
    expect(await client.contents.trace(content.id)).toMatchObject({ id: content.id, wh_id: made.wh_id });
    const rotated = await client.webhooks.rotate(made.wh_id, { grace_seconds: 0 });
    expect(rotated.wh_url).not.toBe(made.wh_url);
    await client.webhooks.delete(made.wh_id);
    const error = await client.webhooks.get(made.wh_id).catch((one: unknown) => one as RestanteError);
    expect(error).toBeInstanceOf(RestanteError);
    expect(error).toMatchObject({ status: 404, code: 'not-found', temporary: false });
  });

  test('says of a content that is gone what is gone, and of another path what the server says', async () => {
    const client = clientOf();
    const { id } = await client.contents.post('short-lived');
    await client.contents.delete(id);
    for (const call of [client.contents.get, client.contents.raw, client.contents.trace, client.contents.delete]) {
      const error = (await call(id).catch((one: unknown) => one)) as RestanteError;
      expect(error).toBeInstanceOf(RestanteError);
      expect(error).toMatchObject({ status: 404, code: 'not-found' });
      expect(error.message).toContain(`You have no content ${id}: it was deleted or pruned, or never existed.`);
      expect(error.requestId).toBeTruthy();
    }
    const lost = createClient({ url: `${service.url}/elsewhere`, auth: `${user.id}:${user.token}` });
    const error = (await lost.contents.get(id).catch((one: unknown) => one)) as RestanteError;
    expect([error.status, error.message]).toEqual([404, expect.stringContaining('/elsewhere/whcontent')]);
  });

  test('reads bodies as JSON, text and form', async () => {
    const client = clientOf();
    const { id } = await client.contents.post('contact%5Bemail%5D=a%40b.c&n=1&n=2');
    const form = (await client.contents.get(id)).form();
    expect([form.get('contact[email]'), form.getAll('n')]).toEqual(['a@b.c', ['1', '2']]);
    const json = await client.contents.get((await client.contents.post('{"a":"ü"}')).id);
    expect(json.json()).toEqual({ a: 'ü' });
    const marked = await client.contents.get((await client.contents.post('\ufeff{"a":1}')).id);
    expect([marked.json(), marked.text()]).toEqual([{ a: 1 }, '\ufeff{"a":1}']);
    expect(Object.keys(json)).toEqual(['id', 'content', 'ip', 'api', 'dt', 'wh_id', 'encoding', 'request']);
  });

  test('hands out everything once, in order, and what comes meanwhile', async () => {
    await clientOf().consumer('all').put({ start: 'latest' });
    await post(1_200);
    const ended = new AbortController();
    const seen: number[] = [];
    for await (const content of clientOf().consume('all', { signal: ended.signal })) {
      seen.push(content.json<{ n: number }>().n);
      if (seen.length === 1_000) void post(300, 1_200);
      if (seen.length === 1_500) ended.abort();
    }
    expect(new Set(seen).size).toBe(1_500);
    expect([...seen].slice(0, 1_200).every((n) => n < 1_200)).toBe(true);
    const state = await clientOf().consumer('all').get();
    expect(state).toMatchObject({ backlog: 0, in_flight: 0, dead: 0 });
  });

  test('a loop that breaks or throws gives back what it had, and what was pulled ahead', async () => {
    await clientOf().consumer('break').put({ start: 'latest' });
    await post(30);
    let first = 0;
    for await (const content of clientOf().consume('break')) {
      first = content.id;
      break;
    }
    expect(await clientOf().consumer('break').get()).toMatchObject({ backlog: 30, in_flight: 0 });
    const failing = async () => {
      for await (const content of clientOf().consume('break')) throw new Error(`cannot handle ${content.id}`);
    };
    await expect(failing()).rejects.toThrow(/cannot handle/);
    const again = await clientOf().consumer('break').pull({ limit: 100 });
    expect(again.items.map(({ id }) => id)).toContain(first);
    expect(again.items).toHaveLength(30);
  });

  test('what was only pulled ahead has spent no attempt when the loop ends', async () => {
    await clientOf().consumer('ahead').put({ start: 'latest', max_attempts: 2 });
    await post(40);
    for (let i = 0; i < 5; i++)
      for await (const content of clientOf().consume('ahead', { concurrency: 20 })) {
        await content.nack({ untried: true });
        break;
      }
    expect(await clientOf().consumer('ahead').get()).toMatchObject({ backlog: 40, in_flight: 0, dead: 0 });
    const { items } = await clientOf().consumer('ahead').pull({ limit: 100 });
    expect(items.map(({ attempt }) => attempt)).toEqual(Array(40).fill(1));
  });

  test('forEach works on several at a time; what fails comes again later and holds up nobody', async () => {
    await clientOf().consumer('each').put({ start: 'latest', max_attempts: 3 });
    await post(200);
    const ended = new AbortController();
    let running = 0;
    let most = 0;
    const tries = new Map<number, number>();
    const done = new Set<number>();
    const over = clientOf()
      .consume('each', { concurrency: 8, signal: ended.signal, retrySeconds: () => 0 })
      .forEach(async (content) => {
        const { n } = content.json<{ n: number }>();
        running++;
        most = Math.max(most, running);
        await sleep(2);
        running--;
        tries.set(n, (tries.get(n) ?? 0) + 1);
        if (n === 7) throw new Error('poison');
        done.add(n);
      });
    for (let i = 0; (done.size < 199 || (tries.get(7) ?? 0) < 3) && i < 500; i++) await sleep(20);
    await sleep(300);
    ended.abort();
    await over;
    expect(done.size).toBe(199);
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(8);
    expect(tries.get(7)).toBe(3);
    const { dead } = await clientOf().consumer('each').dead();
    expect(dead).toMatchObject([{ attempts: 3 }]);
  });

  test('a lease is extended while the work takes longer than it', async () => {
    await clientOf().consumer('slow').put({ start: 'latest' });
    await post(1);
    const ended = new AbortController();
    let count = 0;
    const over = clientOf()
      .consume('slow', { lease_seconds: 1, signal: ended.signal })
      .forEach(async () => {
        count++;
        await sleep(3_000);
        ended.abort();
      });
    await over;
    expect(count).toBe(1);
    expect(await clientOf().consumer('slow').get()).toMatchObject({ backlog: 0, in_flight: 0 });
  });

  test('goes on by itself when the server was away; wrong credentials end it at once', async () => {
    await clientOf().consumer('away').put({ start: 'latest' });
    let broken = true;
    const flaky: typeof fetch = (...args) => (broken ? Promise.reject(new TypeError('fetch failed')) : fetch(...args));
    const states: string[] = [];
    const ended = new AbortController();
    const seen: number[] = [];
    const over = (async () => {
      const onState = ({ state }: { state: string }) => void states.push(state);
      for await (const content of clientOf({ fetch: flaky }).consume('away', { signal: ended.signal, onState })) {
        seen.push(content.id);
        ended.abort();
      }
    })();
    await expect.poll(() => states).toContain('broken');
    broken = false;
    await post(1);
    await over;
    expect(seen).toHaveLength(1);
    const wrong = async () => {
      for await (const content of createClient({ url: service.url, auth: `${user.id}:wrong` }).consume('away'))
        return content;
      return undefined;
    };
    await expect(wrong()).rejects.toMatchObject({ status: 401 });
  });

  /** Contents as they come out of a stream of these bytes, in pieces of these sizes. */
  async function streamed(wire: Uint8Array, sizes: readonly number[]): Promise<unknown[]> {
    let at = 0;
    let piece = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (at >= wire.length) return;
        const end = at + (sizes[piece++ % sizes.length] ?? 1);
        controller.enqueue(wire.subarray(at, end));
        at = end;
      },
    });
    const stop = new AbortController();
    const broken: unknown[] = [];
    const client = createClient({ url: 'http://any', auth: 'any', fetch: async () => new Response(body) });
    const got: unknown[] = [];
    const onState = (_: string, error?: RestanteError) => error && stop.abort(broken.push(error));
    for await (const { id, content } of client.contents.stream({ signal: stop.signal, onState })) {
      if (id === 0) break;
      got.push({ id, content });
    }
    expect(broken).toEqual([]);
    return got;
  }
  const wireOf = (contents: readonly { id: number; content: string }[], end: string) =>
    new TextEncoder().encode(
      [...contents, { id: 0, content: 'last' }]
        .map((one) => `: hb${end}${end}id: ${one.id}${end}event: content${end}data: ${JSON.stringify(one)}${end}${end}`)
        .join(''),
    );

  test('reads events whole, whatever pieces the stream comes in', async () => {
    const contents = fc.array(fc.record({ id: fc.integer({ min: 1 }), content: fc.string({ unit: 'grapheme' }) }), {
      maxLength: 5,
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(contents, sizes, fc.constantFrom('\n', '\r\n'), async (all, cuts, end) => {
        expect(await streamed(wireOf(all, end), cuts)).toEqual(all);
      }),
    );
  });

  test('reads a line of 32 MB in time that grows with its length, not with its square', async () => {
    const all = [{ id: 1, content: 'x'.repeat(32 * 1024 * 1024) }];
    const began = performance.now();
    const [one] = (await streamed(wireOf(all, '\n'), [4096])) as typeof all;
    expect(one?.content.length).toBe(32 * 1024 * 1024);
    // 1.5 s on two cores. A reader that joins its line anew at each of the 8,000 pieces has read a third of it after 40 s.
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test('streams what is there and what comes, and goes on after a break', async () => {
    const start = (await clientOf().contents.post('first')).id;
    const ended = new AbortController();
    const seen: string[] = [];
    const over = (async () => {
      for await (const content of clientOf().contents.stream({ id: start, whid: 0, signal: ended.signal })) {
        seen.push(content.text());
        if (seen.length === 3) ended.abort();
      }
    })();
    await expect.poll(() => seen).toEqual(['first']);
    service.app.server.closeAllConnections();
    await sleep(100);
    await clientOf().contents.post('second');
    await clientOf().contents.post('third');
    await over;
    expect(seen).toEqual(['first', 'second', 'third']);
  });

  test('a stream is narrowed as a list is', async () => {
    const start = (await clientOf().contents.post('nothing')).id;
    await clientOf().contents.post('needle');
    for await (const content of clientOf().contents.stream({ id: start, whid: 0, q: 'needle' })) {
      expect(content.text()).toBe('needle');
      break;
    }
  });

  /** A server of which each answer is made by `answer`. */
  const pretending = async (answer: (response: ServerResponse, path: string) => unknown, more = {}) => {
    const server = createServer(({ url = '' }, response) => void answer(response, url)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const close = () => {
      server.closeAllConnections();
      server.close();
    };
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { client: createClient({ url, auth: '1:x', ...more }), close };
  };

  test('what comes slowly still comes; what stops coming is given up', async () => {
    const { client, close } = await pretending(
      async (response, path) => {
        for (const piece of ['{"user', 'name":', '"1"', '}']) {
          response.write(piece);
          await sleep(120);
          if (path.startsWith('/webhooks')) return;
        }
        response.end();
      },
      { timeoutMs: 300 },
    );
    expect(await client.verify()).toEqual({ username: '1' });
    await expect(client.webhooks.list()).rejects.toMatchObject({ status: 0, code: 'unreachable' });
    close();
  });

  test('a page that something in between answers with is no answer of the service', async () => {
    const { client, close } = await pretending((response) => response.end('<html>Sign in'));
    await expect(client.verify()).rejects.toMatchObject({ status: 0, temporary: true });
    close();
  });

  test('a stream that ends at once is taken up again, but not at once', async () => {
    let asked = 0;
    const { client, close } = await pretending((response) => {
      asked++;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end();
    });
    const ended = new AbortController();
    const states: string[] = [];
    const onState = (state: string) => void states.push(state);
    const over = (async () => {
      for await (const content of client.contents.stream({ signal: ended.signal, onState })) return content;
      return undefined;
    })();
    await sleep(1_000);
    ended.abort();
    await over;
    expect(asked).toBeGreaterThan(1);
    expect(asked).toBeLessThan(8);
    expect(states.slice(0, 4)).toEqual(['connected', 'broken', 'connected', 'broken']);
    expect(states).toHaveLength(asked * 2);
    close();
  });

  test('a stream tells that the database was restored, and goes on after the newest content there is', async () => {
    const from: (string | null)[] = [];
    const { client, close } = await pretending((response, path) => {
      from.push(new URL(path, 'http://x').searchParams.get('id'));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('event: reset\ndata: {"max_id":7}\n\n');
    });
    const ended = new AbortController();
    const resets: number[] = [];
    const onReset = (maxId: number) => {
      resets.push(maxId);
      if (resets.length === 2) ended.abort();
    };
    for await (const content of client.contents.stream({ id: 500, signal: ended.signal, onReset }))
      throw new Error(`there is no content ${content.id}`);
    expect([resets, from]).toEqual([
      [7, 7],
      ['500', '8'],
    ]);
    close();
  });

  test('a content whose lease was over, and that came here again, is worked on once', async () => {
    await clientOf().consumer('again').put({ start: 'latest' });
    await post(3);
    let pulls = 0;
    // Its extensions get lost, and the first content takes longer than the lease.
    const deaf: typeof fetch = (input, init) => {
      if (String(input).endsWith('/extend')) return Promise.reject(new TypeError('fetch failed'));
      if (String(input).endsWith('/pull')) pulls++;
      return fetch(input, init);
    };
    const ended = new AbortController();
    const seen: number[] = [];
    await clientOf({ fetch: deaf })
      .consume('again', { concurrency: 2, lease_seconds: 1, signal: ended.signal })
      .forEach(async (content) => {
        seen.push(content.id);
        if (seen.length === 1) await sleep(2_500);
        if (seen.length === 3) ended.abort();
      });
    expect(pulls).toBeGreaterThan(1);
    expect(new Set(seen).size).toBe(3);
    expect(seen).toHaveLength(3);
    expect(await clientOf().consumer('again').get()).toMatchObject({ backlog: 0, in_flight: 0 });
  });

  test('a server that never answers is given up', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const error = await createClient({ url, auth: '1:x', timeoutMs: 200 })
      .verify()
      .catch((one: unknown) => one);
    expect(error).toMatchObject({ status: 0, code: 'unreachable', temporary: true });
    silent.closeAllConnections();
    silent.close();
  });
});
