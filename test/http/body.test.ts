// Bodies that are being read: exact whatever their chunks, bounded in all, for each user and each webhook, and small ones always pass.

import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createConnection, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { HELD } from '../../src/admission/resources.ts';
import { createRoom } from '../../src/admission/rooms.ts';
import { createBodyReader, holdsMore, readOn } from '../../src/http/body.ts';

const KIB = 1024;
const closing: (() => void)[] = [];
/** The server's ends of connections, by the port of the other end. */
const ends = new Map<number | undefined, Socket>();
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server whose requests are read with room for 1 MiB; the path is the user and the webhook. Answers what became of each. */
async function listen(limit = 10_000 * KIB): Promise<{ url: string; port: number }> {
  const bodies = createBodyReader(createRoom(KIB * KIB, { refusal: HELD.bodies.refusal }));
  const server = createServer(async (request: IncomingMessage, response) => {
    const [, user_id, wh_id] = (request.url ?? '').split('/').map(Number);
    const owner = { user_id: user_id as number, wh_id: wh_id as number };
    const body = await bodies.read(request, owner, limit).catch(() => 'aborted');
    if (typeof body === 'string') readOn(request);
    response.end(typeof body === 'string' ? body : `${body.length} ${body.at(0)} ${body.at(-1)}`);
  });
  server.on('connection', (socket) => ends.set(socket.remotePort, socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port };
}
const post = async (url: string, owner: string, bytes: number) =>
  (await fetch(`${url}/${owner}`, { method: 'POST', body: Buffer.alloc(bytes, 'x') })).text();

/** Says that more is to come, and sends `bytes` of it; resolves when the server has read them. */
async function begin(port: number, owner: string, bytes: number): Promise<Socket> {
  const socket = createConnection(port, '127.0.0.1');
  socket.on('error', () => {});
  closing.push(() => socket.destroy());
  const head = `POST /${owner} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes + 1}\r\n\r\n`;
  socket.write(head);
  socket.write(Buffer.alloc(bytes, 'x'));
  const read = () => ends.get(socket.localPort)?.bytesRead;
  await vi.waitFor(() => expect(read()).toBe(head.length + bytes), { timeout: 8_000, interval: 5 });
  await turn();
  return socket;
}
/** Goes away in the middle; resolves when the server has noticed. */
async function leave(socket: Socket): Promise<void> {
  const end = ends.get(socket.localPort);
  socket.destroy();
  await vi.waitFor(() => expect(end?.closed).toBe(true), { timeout: 8_000, interval: 5 });
  await turn();
}
const answerOf = (socket: Socket) =>
  new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString().split('\r\n\r\n')[1] ?? '')));

test('whole bodies of any size, and what is too large', async () => {
  const { url } = await listen(300 * KIB);
  for (const bytes of [1, 64 * KIB, 64 * KIB + 1, 300 * KIB])
    expect(await post(url, '1/1', bytes)).toBe(`${bytes} 120 120`);
  expect(await post(url, '1/1', 300 * KIB + 1)).toBe('too-large');
  expect(await post(url, '1/1', 0)).toBe('0 undefined undefined');
});

test('webhooks share what is their user’s, users share the rest; small bodies pass; what ends makes room', async () => {
  const { url, port } = await listen();
  // Bodies count from 64 KiB on. A user has 512 KiB of the 1,024, and one of his webhooks 384.
  const slow = await begin(port, '1/1', 400 * KIB);
  expect(await post(url, '1/1', 200 * KIB)).toBe('no-room');
  expect(await post(url, '1/1', 60 * KIB)).toBe(`${60 * KIB} 120 120`);
  const second = await begin(port, '1/2', 200 * KIB);
  expect(await post(url, '1/3', 150 * KIB)).toBe('no-room');
  expect(await post(url, '1/3', 60 * KIB)).toBe(`${60 * KIB} 120 120`);
  // Slow senders on all his webhooks take nothing from another user.
  expect(await post(url, '2/4', 250 * KIB)).toBe(`${250 * KIB} 120 120`);
  const third = await begin(port, '2/4', 250 * KIB);
  expect(await post(url, '3/5', 150 * KIB)).toBe(`${150 * KIB} 120 120`);
  expect(await post(url, '3/5', 300 * KIB)).toBe('no-room');
  const ended = answerOf(slow);
  slow.write('x');
  expect(await ended).toBe(`${400 * KIB + 1} 120 120`);
  for (const socket of [second, third]) await leave(socket);
  for (const owner of ['3/5', '4/6', '1/1']) expect(await post(url, owner, 440 * KIB)).toBe(`${440 * KIB} 120 120`);
});

test('refused again and again, nothing of it stays counted', async () => {
  const { url } = await listen();
  for (let i = 0; i < 20; i++) expect(await post(url, '1/1', 800 * KIB)).toBe('no-room');
  expect(await post(url, '1/1', 440 * KIB)).toBe(`${440 * KIB} 120 120`);
});

test('the values of JSON are counted without parsing it', () => {
  const valuesIn = (value: unknown): number =>
    typeof value === 'object' && value !== null
      ? Object.values(value).reduce((sum: number, one) => sum + valuesIn(one), 1)
      : 1;
  const json = fc.tuple(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2));
  void fc.assert(
    fc.property(json, ([value, indent]) => {
      const [bytes, count] = [Buffer.from(JSON.stringify(value, null, indent)), valuesIn(value)];
      // An empty list or object counts for one more at most.
      expect(holdsMore(bytes, 2 * count + 1)).toBe(false);
      if (count > 1) expect(holdsMore(bytes, Math.ceil((count - 1) / 2))).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect([holdsMore(Buffer.from('[1,2,3]'), 4), holdsMore(Buffer.from('[1,2,3]'), 3)]).toEqual([false, true]);
  expect(holdsMore(Buffer.from('"a,[{\\",,,"'), 1)).toBe(false);
  for (const broken of ['"', '"\\', '\\"', '}]', '']) expect(holdsMore(Buffer.from(broken), 3)).toBe(false);
});
