// Clients in four languages, made of the API document by what others use, compile and page through a list: npm run test:document
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HEAVY, serveDocument } from '../support/clients.ts';
import { scratchFolder } from '../support/fetch-debs.ts';

let served: Awaited<ReturnType<typeof serveDocument>>;
beforeAll(async () => {
  served = await serveDocument();
});
afterAll(() => served?.close());

// The first run fetches what each language needs.
for (const [name, client] of Object.entries(HEAVY))
  test(`${name} makes a client that compiles and pages through a list`, { timeout: 600_000 }, async (context) => {
    const own = await scratchFolder(join(served.folder, 'client-'));
    expect((await client(own.path, served.document, served.asked, context)).trim()).toBe('25');
  });
