// The example that adds a route of its own: it is signed in, validated and documented like ours.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { build } from '../../examples/custom.ts';
import { addUser } from '../../src/store/users.ts';
import { emptyDatabase } from '../support/engines.ts';

test('a route of one’s own has sign-in, validation and its place in the docs', async () => {
  const database = await emptyDatabase('sqlite');
  const { service, store, config } = await build({ DATABASE_URL: database.url, LOG_LEVEL: 'silent' });
  const token = randomBytes(16).toString('hex');
  const id = await addUser(store.db, { email: '', phone: '', token });
  const authorization = `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`;
  const get = (url: string, headers = {}) => service.fastify.inject({ url, headers });
  await service.fastify.inject({ method: 'POST', url: '/whcontent?content=x', headers: { authorization } });

  expect((await get('/whcontent/count')).statusCode).toBe(401);
  expect((await get('/whcontent/count', { authorization })).json()).toEqual({ counts: [{ wh_id: 0, contents: 1 }] });
  expect((await get('/whcontent/count?since_id=x', { authorization })).json()).toMatchObject({
    status: 422,
    errors: [{ path: 'query.since_id' }],
  });
  expect((await get('/openapi.json')).json().paths['/whcontent/count'].get.summary).toBe(
    'Count your contents by webhook',
  );
  expect(config.port).toBe(4343);
  await service.close();
  await store.close();
  await database.drop();
});
