// The full service from the package's parts, with one route of its own: sign-in, validation and its place in /docs included.
//
//   npm i restante fastify pino typebox      (outside of this repository; fastify is there for its types)
//   npx tsx examples/custom.ts
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { createService, openStore, readConfig, route, type Store } from 'restante';
import { Type } from 'typebox';

/** How many contents of each webhook a user has: a question of yours, answered by your SQL on the shared table. */
const countContents = route({
  method: 'GET',
  url: '/whcontent/count',
  tag: 'Contents',
  kind: 'plain', // signed in; 'public' would be without
  summary: 'Count your contents by webhook',
  query: Type.Object({ since_id: Type.Optional(Type.Integer({ minimum: 0, examples: [0] })) }),
  answers: {
    200: {
      description: 'One entry per webhook',
      schema: Type.Object({ counts: Type.Array(Type.Object({ wh_id: Type.Integer(), contents: Type.Integer() })) }),
      example: { counts: [{ wh_id: 7, contents: 3 }] },
    },
  },
  async handler({ store }: { store: Store }, { query, userId }) {
    const sql =
      'SELECT wh_id, COUNT(*) AS contents FROM tblwh WHERE user_id = ? AND id >= ? GROUP BY wh_id ORDER BY wh_id';
    return { counts: await store.db.all(sql, [userId, query.since_id ?? 0]) };
  },
});

/** The service with the extra route; the caller listens. */
export async function build(env: Readonly<Record<string, string | undefined>>) {
  const config = readConfig(env);
  const store = await openStore(config.databaseUrl);
  const log = pino({ level: config.logLevel });
  const service = await createService({ store, config, log, memory: process, routes: [countContents] });
  return { service, config, store };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { service, config, store } = await build(process.env);
  await service.listen(config);
  console.log(`listening on ${config.publicUrl}, see ${config.publicUrl}/docs`);
  process.once('SIGTERM', async () => {
    await service.close();
    await store.close();
  });
}
