// Clients in four languages, made of the API document by what others use, compile and page through a list: npm run test:document
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HEAVY } from '../support/clients.ts';
import { type Database, migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { scratchFolder } from '../support/fetch-debs.ts';

let database: Database;
let service: Service;
let user: TestUser;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let document: string;
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url, { PUBLIC_URL: 'https://hooks.restante.test' });
  user = await service.user();
  for (let i = 0; i < 25; i++)
    await fetch(`${service.url}/whcontent`, { method: 'POST', headers: { authorization: user.auth }, body: `n${i}` });
  folder = await scratchFolder('/tmp/restante-clients-');
  document = join(folder.path, 'openapi.json');
  await writeFile(document, await (await fetch(`${service.url}/openapi.json`)).text());
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
  await folder?.remove();
});

// The first run fetches what each language needs.
for (const [name, client] of Object.entries(HEAVY))
  test(`${name} makes a client that compiles and pages through a list`, { timeout: 600_000 }, async (context) => {
    const own = await scratchFolder(join(folder.path, 'client-'));
    const asked = { url: service.url, id: String(user.id), token: user.token };
    expect((await client(own.path, document, asked, context)).trim()).toBe('25');
  });
