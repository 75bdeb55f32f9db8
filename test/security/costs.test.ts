// What one call may cost: a body of the largest size, in the shapes that take longest to look at, holds nobody up.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { bodySchemaOf, readDocument, type Target, targetsOf } from './calls.ts';

let database: Database;
let service: Service;
let user: TestUser;
let targets: Target[];
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url);
  user = await service.user();
  targets = targetsOf(await readDocument(service.url)).filter(
    (target) => bodySchemaOf(target)?.properties && target.path !== '/whcontent',
  );
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const BYTES = 1024 * 1024 - 100;
const listOf = (item: string) =>
  `[${Array(Math.floor(BYTES / (item.length + 1)))
    .fill(item)
    .join()}]`;
const NAMES = Array.from({ length: 60_000 }, (_, i) => `"name${i.toString(36)}":1`).join();
const SHAPES = [
  ...['1', '"a"', '{}', '[]', 'null', '["a","b"]', '{"value":"x"}', '-1.5e9'].map(listOf),
  `[${Array.from({ length: 140_000 }, (_, i) => i + 1).join()}]`,
  `{${NAMES}}`,
  `"${'a'.repeat(BYTES)}"`,
  `"${'\\u0000'.repeat(BYTES / 6)}"`,
  `${'['.repeat(9_000)}${']'.repeat(9_000)}`,
  `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`,
];

// Before lengths came first the worst took one to five seconds. A busy machine may disturb one of three.
test('no JSON body takes long to refuse, whatever is in it', { timeout: 300_000 }, async () => {
  const slow: [string, string, number][] = [];
  const wrong: [string, string, number][] = [];
  for (const target of targets) {
    const path = target.path.replaceAll(/\{\w+\}/g, '1');
    const members = Object.keys(bodySchemaOf(target)?.properties ?? {});
    const bodies = [`{${NAMES}}`, ...members.flatMap((name) => SHAPES.map((shape) => `{"${name}":${shape}}`))];
    for (const body of bodies) {
      let best = Number.POSITIVE_INFINITY;
      for (let tries = 0; tries < 3 && best > 100; tries++) {
        const began = performance.now();
        const headers = { authorization: user.auth };
        const answer = await fetch(service.url + path, { method: target.method, headers, body });
        await answer.text();
        best = Math.min(best, performance.now() - began);
        if (answer.status < 400 || answer.status >= 500) wrong.push([target.path, body.slice(0, 40), answer.status]);
      }
      if (best > 250) slow.push([target.path, body.slice(0, 40), best]);
    }
  }
  expect(wrong).toEqual([]);
  expect(slow).toEqual([]);
});
