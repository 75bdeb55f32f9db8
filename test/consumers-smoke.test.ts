// Smoke test of consumers while the wiring is under way, to be replaced.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, ENGINES, migratedDatabase } from './engines.ts';
import { type Desk, openDesk } from './consumers.ts';

describe.each(ENGINES)('%s', (engine) => {
  let database: Database;
  let desk: Desk;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    desk = await openDesk(database.url);
  });
  afterAll(async () => {
    await desk?.service.close();
    await database?.drop();
  });
  test('pull and ack', async () => {
    const ids = await desk.send(['a', 'b', 'c']);
    const first = await desk.pull('w', { limit: 2 });
    console.log(JSON.stringify(first).slice(0, 600));
    expect(first.items.map((i: { id: number }) => i.id)).toEqual(ids.slice(0, 2));
    const second = await desk.pull('w', { limit: 2, ack: first.lease });
    console.log(JSON.stringify({ ...second, items: second.items.length }));
    expect(second.items.map((i: { id: number }) => i.id)).toEqual(ids.slice(2));
    console.log(JSON.stringify(await desk.act('w', 'ack', { lease: second.lease })));
    console.log(JSON.stringify(await desk.call('GET', '/consumers')));
    console.log(JSON.stringify(await desk.call('GET', `/whcontent/${ids[0]}/trace`)));
  });
});
