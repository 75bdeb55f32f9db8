// Rules of other applications on tblwh: a constraint, a trigger, a generated column or an index refuses one content, and no other.
import { afterEach, expect, test } from 'vitest';
import { openDb } from '../../src/store/open.ts';
import {
  type Database,
  type Engine,
  migratedDatabase,
  onEveryEngine,
  type Service,
  startService,
} from '../support/engines.ts';

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** Each refuses the body `bad`, and lets JSON pass. */
const RULES: Readonly<Record<string, Readonly<Record<Engine, readonly string[] | undefined>>>> = {
  'a generated column that reads JSON': {
    mariadb: ["ALTER TABLE tblwh ADD COLUMN kind VARCHAR(20) AS (JSON_EXTRACT(content, '$.kind')) STORED"],
    mysql: [
      "ALTER TABLE tblwh ADD COLUMN kind VARCHAR(20) AS (JSON_EXTRACT(CONVERT(content USING utf8mb4), '$.kind')) STORED",
    ],
    sqlite: ["CREATE INDEX by_kind ON tblwh (json_extract(content, '$.kind'))"],
  },
  'a CHECK': {
    mariadb: ["ALTER TABLE tblwh ADD CONSTRAINT no_bad CHECK (content NOT LIKE 'bad%')"],
    mysql: ["ALTER TABLE tblwh ADD CONSTRAINT no_bad CHECK (content NOT LIKE 'bad%')"],
    sqlite: undefined,
  },
  'a trigger that signals': {
    mariadb: [
      "CREATE TRIGGER no_bad BEFORE INSERT ON tblwh FOR EACH ROW IF NEW.content LIKE 'bad%' THEN SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 2500, MESSAGE_TEXT = 'no'; END IF",
    ],
    mysql: [
      "CREATE TRIGGER no_bad BEFORE INSERT ON tblwh FOR EACH ROW IF NEW.content LIKE 'bad%' THEN SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 2500, MESSAGE_TEXT = 'no'; END IF",
    ],
    sqlite: [
      "CREATE TRIGGER no_bad BEFORE INSERT ON tblwh WHEN CAST(NEW.content AS TEXT) LIKE 'bad%' BEGIN SELECT RAISE(ABORT, 'no'); END",
    ],
  },
  'a trigger that fails in another table': {
    mariadb: [
      'CREATE TABLE audit (n INT NOT NULL)',
      "CREATE TRIGGER audited AFTER INSERT ON tblwh FOR EACH ROW IF NEW.content LIKE 'bad%' THEN INSERT INTO audit VALUES (NULL); END IF",
    ],
    mysql: [
      'CREATE TABLE audit (n INT NOT NULL)',
      "CREATE TRIGGER audited AFTER INSERT ON tblwh FOR EACH ROW IF NEW.content LIKE 'bad%' THEN INSERT INTO audit VALUES (NULL); END IF",
    ],
    sqlite: [
      'CREATE TABLE audit (n INT NOT NULL)',
      "CREATE TRIGGER audited AFTER INSERT ON tblwh WHEN CAST(NEW.content AS TEXT) LIKE 'bad%' BEGIN INSERT INTO audit VALUES (NULL); END",
    ],
  },
  'a trigger that leaves rows of its statement behind': {
    mariadb: undefined,
    mysql: undefined,
    sqlite: [
      "CREATE TRIGGER no_bad BEFORE INSERT ON tblwh WHEN CAST(NEW.content AS TEXT) LIKE 'bad%' BEGIN SELECT RAISE(FAIL, 'no'); END",
    ],
  },
  'a trigger that leaves the row out': {
    mariadb: undefined,
    mysql: undefined,
    sqlite: [
      "CREATE TRIGGER no_bad BEFORE INSERT ON tblwh WHEN CAST(NEW.content AS TEXT) LIKE 'bad%' BEGIN SELECT RAISE(IGNORE); END",
    ],
  },
  'a trigger that ends the transaction': {
    mariadb: undefined,
    mysql: undefined,
    sqlite: [
      "CREATE TRIGGER no_bad BEFORE INSERT ON tblwh WHEN CAST(NEW.content AS TEXT) LIKE 'bad%' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    ],
  },
};

onEveryEngine('beside rules of other applications', (engine) => {
  let database: Database;
  let service: Service;
  afterEach(async () => {
    await service?.close();
    await database?.drop();
  });
  async function under(rules: readonly string[]) {
    database = await migratedDatabase(engine);
    const db = await openDb(database.url);
    // Made where the engine has none yet: SQLite migrates at the start of the service.
    if (engine === 'sqlite') {
      service = await startService(database.url);
      await service.close();
    }
    for (const sql of rules) await db.ddl(sql);
    await db.close();
    service = await startService(database.url);
    const user = await service.user();
    const webhook = await service.webhook(user);
    const send = async (body: string) => {
      const answer = await fetch(webhook.wh_url.replace(/^https?:\/\/[^/]+/, service.url), { method: 'POST', body });
      return { status: answer.status, text: await answer.text(), retry: answer.headers.get('retry-after') };
    };
    return { user, webhook, send };
  }

  for (const [rule, by] of Object.entries(RULES)) {
    const sql = by[engine];
    if (!sql) continue;
    test(`${rule}: the bad ones of 400 are told, and all others are stored, in their own bytes`, async () => {
      const { user, send } = await under(sql);
      const isBad = (i: number) => i % 40 === 17;
      const bodies = times(400, (i) => (isBad(i) ? `bad ${i}` : JSON.stringify({ n: i, kind: 'k' })));
      const answers = await Promise.all(bodies.map(send));
      const wrong = answers.flatMap(({ status }, i) => (status === (isBad(i) ? 503 : 200) ? [] : [[i, status]]));
      expect(wrong).toEqual([]);
      expect(answers[17]).toMatchObject({
        retry: '2',
        text: expect.stringContaining('A rule of the database refuses this content'),
      });
      await service.settle();
      const found = new Set<string>();
      for (let id = 0; ; ) {
        const list = await fetch(`${service.url}/whcontent?whid=all&limit=100&id=${id}`, {
          headers: { authorization: user.auth },
        });
        const page = (await list.json()) as { whcontent: { content: string }[]; next_id: number };
        for (const { content } of page.whcontent) found.add(content);
        id = page.next_id;
        if (page.whcontent.length === 0) break;
      }
      expect([...found].sort()).toEqual(bodies.filter((_, i) => !isBad(i)).sort());
      // Told, and no reason to send nobody here: the others are stored.
      expect(
        service.log.lines.filter(({ message }) => message.startsWith('the database refuses contents')),
      ).toMatchObject([{ level: 'error', data: { fix: expect.stringContaining('restante doctor') } }]);
      expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    });
  }

  test('a batch of which all are refused is told in bounded time, and a neighbour does not wait for it', async () => {
    const { send } = await under(RULES['a trigger that signals']?.[engine] ?? []);
    const neighbour = await service.user();
    const theirs = await service.webhook(neighbour);
    const began = performance.now();
    const flood = Promise.all(times(1_000, (i) => send(`bad ${i}`)));
    const url = theirs.wh_url.replace(/^https?:\/\/[^/]+/, service.url);
    let slowest = 0;
    let over = false;
    void flood.then(() => {
      over = true;
    });
    for (let i = 0; !over || i < 5; i++) {
      const since = performance.now();
      expect((await fetch(url, { method: 'POST', body: `{"n":${i}}` })).status).toBe(200);
      slowest = Math.max(slowest, performance.now() - since);
    }
    expect((await flood).every(({ status }) => status === 503)).toBe(true);
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(slowest).toBeLessThan(2_500);
  });
});
