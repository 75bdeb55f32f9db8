// Programs read the API document without a complaint, and clients that are made of it page through a list of a running service.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIGHT, npmTools } from '../support/clients.ts';
import { type Database, migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { run, scratchFolder } from '../support/fetch-debs.ts';

describe('the document of the API', () => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  let folder: Awaited<ReturnType<typeof scratchFolder>>;
  let document: string;
  beforeAll(async () => {
    // The first run fetches them.
    await npmTools();
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

  test('passes what Redocly and Spectral recommend, without a warning', async () => {
    const bin = join(await npmTools(), 'node_modules/.bin');
    await writeFile(join(folder.path, 'redocly.yaml'), 'extends: [recommended]\n');
    await writeFile(join(folder.path, 'spectral.yaml'), 'extends: ["spectral:oas"]\n');
    const [redocly, spectral] = await Promise.all([
      run([`${bin}/redocly`, 'lint', '--config', join(folder.path, 'redocly.yaml'), '--format', 'json', document]),
      run([
        `${bin}/spectral`,
        'lint',
        '-r',
        join(folder.path, 'spectral.yaml'),
        '-f',
        'json',
        '--fail-severity',
        'hint',
        document,
      ]),
    ]);
    expect(JSON.parse(redocly)).toMatchObject({ totals: { errors: 0, warnings: 0, ignored: 0 } });
    // It fails on a hint, too.
    expect(spectral).toMatch(/^\[\]/);
  });

  for (const [name, client] of Object.entries(LIGHT))
    test(`${name} makes a client that pages through a list`, async (context) => {
      const own = await scratchFolder(join(folder.path, 'client-'));
      const asked = { url: service.url, id: String(user.id), token: user.token };
      expect((await client(own.path, document, asked, context)).trim()).toBe('25');
    });
});
