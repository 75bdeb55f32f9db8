// Rules of other applications on tblwh: a constraint, a trigger, a generated column or an index refuses one content, and no other.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Database,
  type Engine,
  migratedDatabase,
  onEveryEngine,
  type Service,
  startService,
  type TestUser,
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

/** What takes the rule away again. */
const UNDO: Readonly<Record<string, string>> = {
  'a generated column that reads JSON': 'ALTER TABLE tblwh DROP COLUMN kind',
  'a CHECK': 'ALTER TABLE tblwh DROP CONSTRAINT no_bad',
  'a trigger that fails in another table': 'DROP TRIGGER audited',
};

onEveryEngine('beside rules of other applications', (engine) => {
  let database: Database;
  let service: Service;
  let owner: TestUser;
  let url = '';
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    owner = await service.user();
    url = await urlOf(owner);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const urlOf = async (user: TestUser) =>
    (await service.webhook(user)).wh_url.replace(/^https?:\/\/[^/]+/, service.url);
  const send = async (body: string, to = url) => {
    const answer = await fetch(to, { method: 'POST', body });
    return { status: answer.status, text: await answer.text(), retry: answer.headers.get('retry-after') };
  };
  async function under(rule: string, work: () => Promise<void>) {
    for (const sql of RULES[rule]?.[engine] ?? []) await service.store.db.ddl(sql);
    try {
      await work();
    } finally {
      const undo =
        engine === 'sqlite' && rule === 'a generated column that reads JSON' ? 'DROP INDEX by_kind' : UNDO[rule];
      await service.store.db.ddl(undo ?? 'DROP TRIGGER no_bad');
    }
  }

  let from = 0;
  for (const [rule, by] of Object.entries(RULES)) {
    if (!by[engine]) continue;
    test(`${rule}: the bad ones of 200 are told, and all others are stored, in their own bytes`, () =>
      under(rule, async () => {
        const isBad = (i: number) => i % 40 === 17;
        const bodies = times(200, (i) => (isBad(i) ? `bad ${i}` : JSON.stringify({ n: i, kind: 'k' })));
        const answers = await Promise.all(bodies.map((body) => send(body)));
        const wrong = answers.flatMap(({ status }, i) => (status === (isBad(i) ? 503 : 200) ? [] : [[i, status]]));
        expect(wrong).toEqual([]);
        expect(answers[17]).toMatchObject({
          retry: '2',
          text: expect.stringContaining('A rule of the database refuses this content'),
        });
        await service.settle();
        const found = new Set<string>();
        for (let more = true; more; ) {
          const list = await fetch(`${service.url}/whcontent?whid=all&limit=100&id=${from}`, {
            headers: { authorization: owner.auth },
          });
          const page = (await list.json()) as { whcontent: { content: string }[]; next_id: number };
          for (const { content } of page.whcontent) found.add(content);
          from = page.next_id;
          more = page.whcontent.length > 0;
        }
        expect([...found].sort()).toEqual(bodies.filter((_, i) => !isBad(i)).sort());
        // Told, and no reason to send nobody here: the others are stored.
        expect(
          service.log.lines.filter(({ message }) => message.startsWith('the database refuses contents')),
        ).toContainEqual({
          level: 'error',
          message: expect.any(String),
          data: expect.objectContaining({ fix: expect.stringContaining('restante doctor') }),
        });
        expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
      }));
  }

  test('a flood of which all are refused is told in bounded time, and a neighbour does not wait for all of it', () =>
    under('a trigger that signals', async () => {
      const { writer } = service.parts;
      const row = (user_id: number, content: string) => ({
        ...{ user_id, wh_id: 0, content: Buffer.from(content), api: 1 as const, dt: '2026-11-22 10:00:00' },
        ...{ received_ms: 1, ip: '127.0.0.1', head: null, judged: null },
      });
      const began = performance.now();
      const flood = Promise.allSettled(times(1_500, (i) => writer.write(row(900, `bad ${i}`))));
      let slowest = 0;
      let over = false;
      void flood.then(() => {
        over = true;
      });
      for (let i = 0; !over || i < 5; i++) {
        const since = performance.now();
        expect(await writer.write(row(901, `{"n":${i}}`))).toBeGreaterThan(0);
        slowest = Math.max(slowest, performance.now() - since);
      }
      const told = (await flood).map((one) => (one as PromiseRejectedResult).reason as { status: number });
      expect(told.every(({ status }) => status === 503)).toBe(true);
      expect(performance.now() - began).toBeLessThan(6_000);
      expect(slowest).toBeLessThan(2_000);
    }));

  test('a release that is refused keeps its refusal, and those behind it are released', async () => {
    const webhook = await service.webhook(owner, { preset: 'github' });
    const to = webhook.wh_url.replace(/^https?:\/\/[^/]+/, service.url);
    for (const body of ['bad one', '{"good":1}', '{"good":2}']) expect((await send(body, to)).status).toBe(200);
    await under('a trigger that signals', async () => {
      const answer = await fetch(`${service.url}/refusals/release`, {
        method: 'POST',
        headers: { authorization: owner.auth, 'content-type': 'application/json' },
        body: JSON.stringify({ whid: webhook.wh_id, force: true }),
      });
      const { released, kept } = (await answer.json()) as { released: object[]; kept: { reason: string }[] };
      expect([released.length, kept.map(({ reason }) => reason)]).toEqual([2, [expect.stringContaining('refuses')]]);
    });
  });
});
