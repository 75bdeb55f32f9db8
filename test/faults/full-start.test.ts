// A start while the database can be read and not written to: it serves what is stored, says why it stores nothing, and goes on by itself.
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onEveryEngine } from '../support/engines.ts';
import { needsRoot } from '../support/tools.ts';
import { createWorld, type Program, type World } from '../support/world.ts';

const TOKEN = 'figures-for-the-operator';

onEveryEngine('a start without room to write', (engine) => {
  let world: World;
  let databaseUrl: string;
  let auth: string;
  beforeAll(async () => {
    world = await createWorld(engine, engine === 'sqlite' ? { diskMb: 24 } : {});
    auth = world.auth;
    // Not root, who may write to a server that is read-only.
    databaseUrl = engine === 'sqlite' ? world.databaseUrl : await world.account('all');
  });
  afterAll(() => world?.close());

  const serve = () => world.serve({ DATABASE_URL: databaseUrl, METRICS_TOKEN: TOKEN });
  const call = async (program: Program, method: string, path: string, authorization = auth) => {
    const answer = await fetch(program.url + path, { method, headers: { authorization } });
    const text = await answer.text();
    return { status: answer.status, text };
  };
  const send = async ({ url }: Program, path: string, body: string) => {
    const answer = await fetch(url + path, { method: 'POST', body });
    return { status: answer.status, text: await answer.text() };
  };

  const ready = (program: Program) => call(program, 'GET', '/readyz', `Bearer ${TOKEN}`);
  const idsOf = async (program: Program) => {
    const { status, text } = await call(program, 'GET', '/whcontent?whid=all&limit=500');
    expect([status, text.slice(0, 200)]).toEqual([200, expect.anything()]);
    return (JSON.parse(text).whcontent as { id: number }[]).map(({ id }) => id);
  };
  async function goesOn(program: Program, path: string): Promise<void> {
    await expect.poll(async () => (await send(program, path, 'more')).status, { timeout: 20_000 }).toBe(200);
    await expect.poll(async () => (await ready(program)).status, { timeout: 20_000 }).toBe(200);
    const [id] = await idsOf(program);
    expect((await call(program, 'DELETE', `/whcontent/${id}`)).status).toBe(204);
  }

  if (engine === 'sqlite')
    test('a full disk: reads go on, senders and /readyz have the reason, and all goes on when there is room', async (context) => {
      needsRoot(context);
      // A database that was never closed: all of it is in the log, and on a full disk that can neither grow nor be emptied.
      databaseUrl = `sqlite:${world.volume?.path}/own/restante.db`;
      const before = await serve();
      // The port answers before the credentials are printed.
      const printed = /user id +(\d+)\n +token +(\S+)\n +webhook +\S+(\/in\/\S+)/;
      await expect.poll(() => before.log(), { timeout: 20_000 }).toMatch(printed);
      const [, user, token, path = ''] = printed.exec(before.log()) ?? [];
      auth = `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;
      for (let i = 0; i < 20; i++) expect((await send(before, path, 'one')).status).toBe(200);
      await before.kill();
      await world.volume?.fill();
      const program = await serve();
      // Before the first sender comes, but with the first look at the clock, which stores something.
      await expect.poll(async () => (await ready(program)).text, { timeout: 20_000 }).toContain('disk-full');
      const stored = await idsOf(program);
      expect(stored).toHaveLength(20);
      const told = { status: 503, text: expect.stringContaining('The disk of the database is full') };
      expect(await send(program, path, 'x'.repeat(10_000))).toMatchObject(told);
      // Either there is room for it, or it says why not.
      const { status, text } = await call(program, 'DELETE', `/whcontent/${stored[0]}`);
      if (status !== 204) expect({ status, text }).toMatchObject(told);
      await world.volume?.free();
      await goesOn(program, path);
    });
  else
    test('a server that is read-only: it waits, and on the way it tells the reason', async () => {
      const { path } = await world.webhook('first');
      const root = await world.connect();
      await root.query('SET GLOBAL read_only = 1');
      const starting = serve();
      const log = () => (existsSync(`${world.folder}/log-0`) ? readFileSync(`${world.folder}/log-0`, 'utf8') : '');
      await expect.poll(log, { timeout: 20_000 }).toContain('waiting for the database');
      await root.query('SET GLOBAL read_only = 0');
      const program = await starting;
      expect((await send(program, path, 'one')).status).toBe(200);
      await expect.poll(() => idsOf(program)).toHaveLength(1);
      const [id] = await idsOf(program);
      await root.query('SET GLOBAL read_only = 1');
      await expect.poll(async () => (await ready(program)).text, { timeout: 20_000 }).toContain('read-only');
      const told = { status: 503, text: expect.stringContaining('The database is read-only now') };
      // One that waited in the queue for too long was not refused by the database, and hears less.
      await expect.poll(() => send(program, path, 'two')).toMatchObject(told);
      expect(await call(program, 'DELETE', `/whcontent/${id}`)).toMatchObject(told);
      expect((await call(program, 'GET', `/whcontent/${id}`)).status).toBe(200);
      await root.query('SET GLOBAL read_only = 0');
      await goesOn(program, path);
    });
});
