// SQL injection: hostile texts in every parameter, path, body member and header that the API document names, on real servers.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { ask, requestOf } from '../support/raw.ts';
import { bodySchemaOf, readDocument, type Schema, type Target, targetsOf } from './calls.ts';
import { furnish } from './run.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
/** As bytes: some are no UTF-8. A text before a quote whose last byte would swallow a backslash in GBK is the old trick. */
const INJECTIONS = [
  "' OR 1=1 -- ",
  "1' OR '1'='1",
  '1 OR 1=1',
  '" OR ""="',
  '1; DROP TABLE tblwh',
  "'; DROP TABLE tblwh; -- ",
  '1 UNION SELECT token FROM tbluser',
  "' UNION SELECT token,token,token,token,token,token FROM tbluser -- ",
  '1) OR (1=1',
  'SLEEP(5)',
  "1' AND SLEEP(5) AND '1",
  '1/**/OR/**/1',
  '\\',
  "\\' OR 1=1 -- ",
  "\xbf\x5c' OR 1=1 -- ",
  "\xbf' OR 1=1 -- ",
  'a\0b',
  "\0' OR 1=1 -- ",
  '%',
  '_',
  '?',
  '0x7465',
  '@@version',
].map(bytes);

const encoded = (text: Buffer) => [...text].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
/** Every place in a body where a text may stand, each with the text in it. */
function bodiesWith(schema: Schema, text: string): unknown[] {
  const places = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => [
    ...[text, [text]].map((value) => ({ [name]: value })),
    ...bodiesWith(one, text).map((value) => ({ [name]: value })),
    ...bodiesWith(one.items ?? {}, text).map((value) => ({ [name]: [value] })),
    ...(one.anyOf ?? []).flatMap((each) => bodiesWith(each, text)).map((value) => ({ [name]: value })),
  ]);
  // Beside what must be there, so that it gets further than the first check.
  const needed = Object.fromEntries((schema.required ?? []).map((name) => [name, name === 'whid' ? 1 : 'x']));
  return places.map((place) => ({ ...needed, ...place }));
}

const TABLES = ['tbluser', 'tblwhid', 'tblwh', 'restante_webhook', 'restante_refusal', 'restante_consumer'];

describe.each(['sqlite', 'mysql'] as const)('%s', (engine) => {
  let database: Database;
  let service: Service;
  let attacker: TestUser;
  let control: TestUser;
  let targets: Target[];
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    [attacker, control] = [await service.user(), await service.user()];
    targets = targetsOf(await readDocument(service.url));
    await furnish(service.port, control.auth);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const theirs = async () => {
    const rows: string[] = [];
    for (const table of TABLES)
      for (const row of await service.store.db.all<Record<string, unknown>>(`SELECT * FROM ${table}`))
        if ((row.user_id ?? row.id) === control.id || table === 'tbluser') rows.push(`${table} ${JSON.stringify(row)}`);
    return rows;
  };
  async function attack(requests: readonly Buffer[]): Promise<void> {
    let next = 0;
    const lane = async () => {
      for (let request = requests[next++]; request; request = requests[next++]) {
        const began = performance.now();
        const { status, body } = await ask(service.port, request);
        const head = request.toString('latin1').slice(0, 400);
        // 404 of a path with bytes that are no UTF-8, 503 of nothing: an error of SQL would be a 5xx.
        expect([head, status < 500]).toEqual([head, true]);
        expect(performance.now() - began, head).toBeLessThan(4_000);
        const text = body.toString('latin1');
        for (const secret of [control.token, 'their-secret', "theirs'"]) expect([head, text]).not.toContain(secret);
        if (status >= 400) expect(text).not.toMatch(/SQL syntax|SQLITE_|ER_[A-Z]{3}|near "/);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
  }

  test('in every parameter and body member of every operation: no error, no delay, nothing of another user, no row less', async () => {
    const before = await theirs();
    const requests = targets.flatMap((target) => {
      const { path, method, operation } = target;
      const { parameters = [] } = operation;
      const plain = path.replace(/\{\w+\}/g, '1');
      const auth = [`Authorization: ${attacker.auth}`];
      const schema = bodySchemaOf(target);
      return INJECTIONS.flatMap((text, i) => [
        ...parameters.map(({ name, in: place }) =>
          requestOf(
            method,
            place === 'path' ? path.replace(`{${name}}`, encoded(text)) : `${plain}?${name}=${encoded(text)}`,
            auth,
            method === 'GET' ? '' : '{}',
          ),
        ),
        requestOf(method, `${plain}?${encoded(text)}=1`, auth, method === 'GET' ? '' : '{}'),
        // A quarter of the texts in each place: all places have all kinds of values in turn.
        ...(schema ? bodiesWith(schema, text.toString('latin1')) : [])
          .filter((_, j) => (i + j) % 4 === 0)
          .map((body) => requestOf(method, plain, auth, Buffer.from(JSON.stringify(body)))),
      ]);
    });
    // Fewer would mean that the document was not read.
    expect(requests.length).toBeGreaterThan(1_000);
    await attack(requests);
    expect(await theirs()).toEqual(before);
    expect(service.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('in credentials, keys of webhooks and headers', async () => {
    const before = await theirs();
    const sent = await service.webhook(attacker, { dedupe: { from: 'header:x-id' }, verify: { scheme: 'none' } });
    const pair = (text: Buffer) => Buffer.concat([text, bytes(':'), text]).toString('base64');
    const line = (text: Buffer) => text.toString('latin1').replaceAll('\0', '');
    await attack(
      INJECTIONS.flatMap((text) => [
        requestOf('GET', '/', [`Authorization: Basic ${pair(text)}`]),
        requestOf('GET', '/', [
          `Authorization: Basic ${Buffer.concat([bytes(`${control.id}:`), text]).toString('base64')}`,
          `X-Forwarded-For: 10.0.0.${INJECTIONS.indexOf(text)}`,
        ]),
        requestOf('POST', `/in/${encoded(text)}`, [], 'x'),
        requestOf(
          'POST',
          pathOf(sent),
          [`X-Id: ${line(text)}`, `X-Forwarded-For: ${line(text)}`, `${'X'}: ${line(text)}`],
          text,
        ),
      ]),
    );
    expect(await theirs()).toEqual(before);
  });

  test('what was stored is what comes out, and finds itself alone', async () => {
    const auth = [`Authorization: ${attacker.auth}`];
    const get = async (path: string) =>
      JSON.parse((await ask(service.port, requestOf('GET', path, auth))).body.toString()) as {
        wh_name: string;
        whcontent: { id: number; content: string; request: { event_id: string } }[];
      };
    const sent = await service.webhook(attacker, { dedupe: { from: 'header:x-id' }, verify: { scheme: 'none' } });
    const texts = INJECTIONS.map((text) => text.toString('latin1')).filter((text) =>
      /^[\x21-\x7e][\x20-\x7e]{5,}$/.test(text.trim()),
    );
    for (const text of texts) {
      const made = await service.webhook(attacker, { wh_name: text.slice(0, 45) });
      expect((await get(`/webhooks/${made.wh_id}`)).wh_name).toBe(text.slice(0, 45));
      await ask(service.port, requestOf('POST', pathOf(sent), [`X-Id: ${text.trim()}`], text));
    }
    await service.settle();
    for (const text of texts) {
      const by = async (query: string) => (await get(`/whcontent?whid=${sent.wh_id}&${query}`)).whcontent;
      expect((await by(`event_id=${encoded(bytes(text.trim()))}`)).map(({ content }) => content)).toEqual([text]);
      for (const { content } of await by(`q=${encoded(bytes(text))}`)) expect(content).toContain(text);
    }
  });

  test('the key of a webhook is compared byte for byte', async () => {
    const wh = await service.webhook(attacker);
    const path = pathOf(wh);
    const near = [path.toUpperCase(), path.toLowerCase(), `${path}%20`, `${path}%00`, path.slice(0, -1), `${path}x`];
    near.push(path.replace(/.$/, '%'), path.replace(/.$/, '_'), path.replace(/\w{3}$/, '%25'));
    for (const one of near.map((each) => each.replace(/^\/IN\//, '/in/')))
      expect([one, (await ask(service.port, requestOf('POST', one, [], 'x'))).status]).toEqual([one, 404]);
    expect((await ask(service.port, requestOf('POST', path, [], 'x'))).status).toBe(200);
  });
});
