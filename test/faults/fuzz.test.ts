// Fuzz of every operation of the API document: no 5xx, each answer as documented, nobody else harmed.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytesOf, type Call, readDocument, type Target, targetsOf, WORDS } from '../security/calls.ts';
import { faultOf } from '../security/promised.ts';
import { furnish, METRICS_TOKEN, runFuzz, unreached } from '../security/run.ts';
import { type Database, migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { ask } from '../support/raw.ts';

const COUNT = Number(process.env.RESTANTE_FUZZ_COUNT ?? 20_000);
const SEED = Number(process.env.RESTANTE_FUZZ_SEED ?? Date.now() % 1e9);

let database: Database;
let service: Service;
let attacker: TestUser;
let targets: Target[];
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url, { MAX_BODY_BYTES: '100000', METRICS_TOKEN });
  attacker = await service.user();
  targets = targetsOf(await readDocument(service.url));
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});
const errors = () => service.log.lines.filter(({ level }) => level === 'error');

// Each time, so that it does not take luck.
test('every operation keeps its word when it is sent what is too long, nobody’s, unknown or no JSON', async () => {
  const control = await service.user();
  await furnish(service.port, control.auth);
  for (const target of targets) {
    const named = (value: unknown) => ({ wh_id: value, id: value, name: value, key: value });
    const read = target.method === 'GET';
    const plain: Call = {
      inPath: named('1'),
      query: {},
      stray: null,
      body: read ? Buffer.alloc(0) : {},
      headers: [],
      live: 1,
    };
    const calls: Call[] = [
      ...['x'.repeat(300), 7, 0, ...WORDS].map((value) => ({ ...plain, inPath: named(value) })),
      ...['no-such', '__proto__', 'constructor'].map((name): Call => ({ ...plain, stray: [name, 'x'] })),
      ...['', '{', '[]', '\ufeff{}', 'x'.repeat(100_001)].map((text) => ({ ...plain, body: Buffer.from(text) })),
      ...['weird/;;;', '', 'text/plain'].map((type) => ({ ...plain, headers: [`Content-Type: ${type}`] })),
    ];
    for (const call of calls) {
      const request = bytesOf(target, call, attacker.auth);
      const fault = faultOf(target, await ask(service.port, request));
      expect([request.toString('latin1').slice(0, 300), fault]).toEqual([expect.any(String), undefined]);
    }
  }
  expect(errors()).toEqual([]);
});

test(`${COUNT} calls of all operations, in flight together, and a user beside them`, {
  timeout: 6_000_000,
}, async () => {
  const control = await service.user();
  for (const { auth } of [control, attacker]) await furnish(service.port, auth);
  const options = { port: service.port, attacker: attacker.auth, control: control.auth };
  const seen = new Map<string, Set<number>>();
  const { figures, failures } = await runFuzz({ ...options, count: COUNT, seed: SEED, seen });
  console.log(figures);
  expect([...failures, ...unreached(seen, COUNT)]).toEqual([]);
  expect(errors()).toEqual([]);
  expect(Number(figures['slowest ms'])).toBeLessThan(10_000);
});

test('the fuzz would notice a status that is not documented, an answer of another shape, and harm', () => {
  const target = targets.find(({ path, method }) => path === '/whcontent/{id}' && method === 'GET') as Target;
  const headers = new Map([
    ['content-type', 'application/json'],
    ['x-content-type-options', 'nosniff'],
  ]);
  const answer = (status: number, body: object) => ({ status, headers, body: Buffer.from(JSON.stringify(body)) });
  expect(faultOf(target, answer(200, { id: 'x' }))).toMatch(/does not fit/);
  expect(faultOf(target, answer(418, {}))).toMatch(/not documented/);
  expect(faultOf(target, answer(500, {}))).toMatch(/error of the server/);
  expect(faultOf(target, { ...answer(404, {}), headers: new Map() })).toMatch(/nosniff/);
});
