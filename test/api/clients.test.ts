// Programs read the API document without a complaint, and clients that are made of it page through a list of a running service.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIGHT, npmTools, serveDocument } from '../support/clients.ts';
import { run, scratchFolder } from '../support/fetch-debs.ts';

describe('the document of the API', () => {
  let served: Awaited<ReturnType<typeof serveDocument>>;
  beforeAll(async () => {
    // The first run fetches them.
    await npmTools();
    served = await serveDocument();
  });
  afterAll(() => served?.close());

  test('passes what Redocly and Spectral recommend, without a warning', async () => {
    const { folder, document } = served;
    const bin = join(await npmTools(), 'node_modules/.bin');
    await writeFile(join(folder, 'redocly.yaml'), 'extends: [recommended]\n');
    await writeFile(join(folder, 'spectral.yaml'), 'extends: ["spectral:oas"]\n');
    const [redocly, spectral] = await Promise.all([
      run([`${bin}/redocly`, 'lint', '--config', join(folder, 'redocly.yaml'), '--format', 'json', document]),
      run([
        `${bin}/spectral`,
        'lint',
        '-r',
        join(folder, 'spectral.yaml'),
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
      const own = await scratchFolder(join(served.folder, 'client-'));
      expect((await client(own.path, served.document, served.asked, context)).trim()).toBe('25');
    });
});
