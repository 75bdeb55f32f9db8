// schemathesis finds nothing that is not listed with its reason in schemathesis.toml, on SQLite and on a server: npm run test:document
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { schemathesis } from '../support/clients.ts';
import { migratedDatabase, startService } from '../support/engines.ts';
import { scratchFolder } from '../support/fetch-debs.ts';

// A call that waits would wait.
const HOOKS = `import schemathesis

@schemathesis.hook
def map_query(context, query):
    if isinstance(query, dict) and "wait" in query:
        query["wait"] = 0
    return query

@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and isinstance(body.get("wait"), int):
        body["wait"] = 0
    return body
`;

for (const engine of ['sqlite', 'mysql'] as const)
  test(`finds nothing on ${engine} that is not listed`, { timeout: 900_000 }, async (context) => {
    const database = await migratedDatabase(engine);
    const service = await startService(database.url);
    const folder = await scratchFolder('/tmp/restante-schemathesis-');
    try {
      const user = await service.user();
      const document = join(folder.path, 'openapi.json');
      await writeFile(document, await (await fetch(`${service.url}/openapi.json`)).text());
      await writeFile(join(folder.path, 'hooks.py'), HOOKS);
      const asked = { url: service.url, id: String(user.id), token: user.token };
      const told = await schemathesis(folder.path, document, 'test/faults/schemathesis.toml', asked, context);
      expect(told).toMatch(/\d+ passed|No issues found/);
    } finally {
      await service.close();
      await database.drop();
      await folder.remove();
    }
  });
