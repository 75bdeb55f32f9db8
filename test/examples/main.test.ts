// The single-file service of examples/main.ts, held to the classic conversation on real servers with the least rights.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance, InjectOptions } from 'fastify';
import mysql, { type Connection, type Pool } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { build } from '../../examples/main.ts';
import { baseTables, checkClassicConversation, classicUser, seed } from '../support/classic.ts';
import { connectTo } from '../support/servers.ts';

const single = fileURLToPath(new URL('../../examples/main.ts', import.meta.url));
const basic = (pair: string | Buffer) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });
const ana = basic(`${classicUser.id}:${classicUser.token}`);

describe.each(['mariadb', 'mysql'] as const)('examples/main.ts on %s', (flavour) => {
  const name = `restante_${randomBytes(6).toString('hex')}`;
  let admin: Connection;
  let url: URL;
  let pool: Pool;
  let app: FastifyInstance;

  beforeAll(async () => {
    url = new URL(inject(flavour));
    admin = await connectTo(url.href);
    await admin.query(`CREATE DATABASE ${name}`);
    await admin.query(`USE ${name}`);
    for (const sql of [...baseTables, ...seed]) await admin.query(sql);
    await admin.query(`CREATE USER ${name}@'%' IDENTIFIED BY 'secret'`);
    await admin.query(`GRANT SELECT (id, token) ON ${name}.tbluser TO ${name}@'%'`);
    await admin.query(`GRANT SELECT ON ${name}.tblwhid TO ${name}@'%'`);
    await admin.query(`GRANT SELECT, INSERT ON ${name}.tblwh TO ${name}@'%'`);
    Object.assign(url, { username: name, password: 'secret', pathname: `/${name}` });
    pool = mysql.createPool({ uri: url.href, connectionLimit: 4 });
    app = build(pool);
  });

  afterAll(async () => {
    await app?.close();
    await pool?.end();
    await admin?.query(`DROP DATABASE IF EXISTS ${name}`);
    await admin?.query(`DROP USER IF EXISTS ${name}@'%'`);
    await admin?.end();
  });

  const call = async (method: 'GET' | 'POST', path: string, options: InjectOptions = {}) => {
    const answer = await app.inject({ method, url: path, headers: ana, ...options });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
  };
  const post = async (payload: string | Buffer, headers: Record<string, string> = {}) => {
    const { status, body } = await call('POST', '/whcontent', { payload, headers: { ...ana, ...headers } });
    expect(status).toBe(201);
    return (await call('GET', `/whcontent/${body.id}`)).body;
  };

  test('answers the classic conversation, with no right but to read and to insert', async () => {
    await checkClassicConversation((method, path, headers) => call(method, path, { headers }));
  });

  test('lets in exactly the token, and tells nobody whether the user exists', async () => {
    await admin.query("INSERT INTO tbluser (id, email, phone, token, status, pwd) VALUES (1003, '', '', '', 1, '')");
    const token = classicUser.token;
    const wrong = ['01001', '1001abc', ' 1001', '1001.0', '0', '', '4040', '9999999999'].map((id) => `${id}:${token}`);
    const nearly = [token.toLowerCase(), `${token} `, `${token}:`, ''].map((given) => `1001:${given}`);
    const bodies = [];
    for (const pair of [...nearly, ...wrong, '1001', '1003:', '1003: ', '']) {
      const { status, headers, body } = await call('GET', '/', { headers: basic(pair) });
      expect(status, pair).toBe(401);
      expect(headers['www-authenticate']).toBe('Basic realm="Restante", charset="UTF-8"');
      bodies.push({ ...body, request_id: '' });
    }
    // Right id and wrong token, wrong id and right token.
    expect(bodies[0]).toEqual(bodies[nearly.length + wrong.length - 1]);
    expect((await call('GET', '/', { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
    const lower = { authorization: ana.authorization.replace('Basic', 'basic') };
    expect((await call('GET', '/', { headers: lower })).status).toBe(200);
  });

  test('compares a token with a colon and with bytes above ASCII byte for byte', async () => {
    const token = Buffer.from('a:b\xe9', 'latin1');
    const sql = "INSERT INTO tbluser (id, email, phone, token, status, pwd) VALUES (1004, '', '', ?, 1, '')";
    await admin.execute(sql, [token]);
    const headers = basic(Buffer.concat([Buffer.from('1004:'), token]));
    expect((await call('GET', '/', { headers })).body).toEqual({ username: '1004' });
    expect((await call('GET', '/', { headers: basic('1004:a:bé') })).status).toBe(401);
  });

  test('refuses numbers that are none, says which, and clamps those that are too big', async () => {
    for (const [query, path] of [
      ['limit=0', 'limit'],
      ['limit=', 'limit'],
      ['limit=1e2', 'limit'],
      ['id=-1', 'id'],
      ['id=abc', 'id'],
      ['id=1.5', 'id'],
      ['whid=ALL', 'whid'],
    ]) {
      const { status, headers, body } = await call('GET', `/whcontent?${query}`);
      expect(status, query).toBe(422);
      expect(headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(body.errors).toEqual([{ path, message: expect.stringMatching(/\S/) }]);
      expect(body.detail).toContain(path);
    }
    const huge = '9'.repeat(400);
    expect((await call('GET', `/whcontent?id=${huge}&whid=${huge}&limit=${huge}`)).body.whcontent).toEqual([]);
    expect((await call('GET', '/whcontent/9999999999')).status).toBe(404);
  });

  test('ignores parameters it does not know, and says so', async () => {
    const { status, body } = await call('GET', '/whcontent?whid=7&wait=30&__proto__=1');
    expect(status).toBe(200);
    expect(body.whcontent).toHaveLength(3);
    expect(body.hint).toContain('wait');
    expect((await call('GET', '/?x')).body).toEqual({ username: '1001', hint: expect.stringContaining('x') });
    expect((await call('GET', '/whcontent?whid=7')).body.hint).toBeUndefined();
  });

  test('keeps every byte of a body, and reads what is not UTF-8 as windows-1252', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const answer = await post(every, { 'content-type': 'application/json' });
    expect(Object.keys(answer)).toEqual(['id', 'content', 'ip', 'api', 'dt', 'wh_id', 'encoding']);
    const { id, content, encoding } = answer;
    const [[row]] = await admin.query<mysql.RowDataPacket[]>(`SELECT HEX(content) AS hex FROM tblwh WHERE id = ${id}`);
    expect(row?.hex).toBe(every.toString('hex').toUpperCase());
    expect(encoding).toBe('windows-1252');
    expect([...content]).toHaveLength(256);
    expect(content.slice(0x7e, 0x84)).toBe('~\x7f€\x81‚ƒ');
    expect(content.slice(0x90, 0xa1)).toBe('\x90‘’“”•–—˜™š›œ\x9džŸ\xa0');
    expect(content.slice(0xe0)).toBe('àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ');
    expect(await post('\ufeff漢字 😀 é')).toMatchObject({ content: '\ufeff漢字 😀 é', encoding: 'utf-8' });
  });

  test('takes a content as a parameter, as JSON, or as the bytes of the body, whatever their type', async () => {
    const json = { 'content-type': 'application/json' };
    expect((await post('{"content":"漢"}', json)).content).toBe('漢');
    for (const body of ['{"content":"a","more":1}', '{"content":1}', '[]', 'null', '"content"', '{', ' ']) {
      expect((await post(body, json)).content).toBe(body);
    }
    expect((await post('a=1&b=2', { 'content-type': 'application/x-www-form-urlencoded' })).content).toBe('a=1&b=2');
    expect((await post('odd', { 'content-type': 'no such type' })).content).toBe('odd');
    expect((await call('POST', '/whcontent')).body.errors[0].path).toBe('content');
    expect((await call('POST', '/whcontent', { headers: { ...ana, ...json } })).status).toBe(422);
    expect((await call('POST', '/whcontent?content=a', { payload: 'b' })).status).toBe(422);
    const large = await call('POST', '/whcontent', { payload: Buffer.alloc(11 * 2 ** 20) });
    expect(large).toMatchObject({ status: 413, body: { status: 413 } });
  });

  test('writes the address in fifteen characters or not at all', async () => {
    for (const [remoteAddress, ip] of [
      ['203.0.113.77', '203.0.113.77'],
      ['::ffff:203.0.113.77', '203.0.113.77'],
      ['2001:db8:85a3::8a2e:370:7334', 'ipv6'],
      ['::1', 'ipv6'],
    ] as const) {
      const { body } = await call('POST', '/whcontent?content=ip', { remoteAddress });
      expect((await call('GET', `/whcontent/${body.id}`)).body).toMatchObject({ ip, api: 0, wh_id: 0 });
    }
  });

  test('hands out pages by next_id, of every webhook but of no other user', async () => {
    const rows = Array.from({ length: 230 }, () => "('x', '', 1, '', 1001, 7), ('not yours', '', 1, '', 1002, 8)");
    await admin.query(`INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ${rows.join(', ')}`);
    const [[count]] = await admin.query<mysql.RowDataPacket[]>('SELECT COUNT(*) AS n FROM tblwh WHERE user_id = 1001');
    const ids: number[] = [];
    for (let id = 0; ; ) {
      const { body } = await call('GET', `/whcontent?whid=all&id=${id}&limit=1000`);
      expect(body.whcontent.length).toBeLessThanOrEqual(100);
      ids.push(...body.whcontent.map((content: { id: number }) => content.id));
      if (body.whcontent.length === 0) {
        expect(body.next_id).toBe(id);
        break;
      }
      id = body.next_id;
    }
    expect(ids).toHaveLength(count?.n);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  });

  test('ends a page at 8 MiB, and never before its first content', async () => {
    const big = Buffer.alloc(5 * 2 ** 20, 'x');
    const [from, next] = [await post(big), await post(big)];
    const { body } = await call('GET', `/whcontent?id=${from.id}`);
    expect(body.whcontent.map((content: { id: number }) => content.id)).toEqual([from.id]);
    expect((await call('GET', `/whcontent?id=${body.next_id}`)).body.whcontent[0].id).toBe(next.id);
  });

  test('starts as a program, serves, and ends cleanly on SIGTERM', async () => {
    const env = { ...process.env, DATABASE_URL: url.href, PORT: '0' };
    const program = spawn(process.execPath, ['--import', 'tsx', single], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const base = await listening(program);
      expect(base.hostname).toBe('127.0.0.1');
      const answer = await fetch(base, { headers: ana });
      expect(await answer.json()).toEqual({ username: '1001' });
      program.kill('SIGTERM');
      expect(await once(program, 'exit')).toEqual([0, null]);
    } finally {
      program.kill('SIGKILL');
    }
  });
});

test('says 503 and when to come back while the database is away, but not to what needs no database', async () => {
  const pool = mysql.createPool({ uri: 'mysql://root@127.0.0.1:1/gone' });
  const app = build(pool);
  const answer = await app.inject({ url: '/whcontent', headers: ana });
  expect(answer.statusCode).toBe(503);
  expect(answer.headers['retry-after']).toBe('5');
  expect(answer.json()).toMatchObject({ status: 503, detail: expect.stringContaining('try again') });
  expect(answer.body).not.toContain('ECONNREFUSED');
  expect((await app.inject('/')).statusCode).toBe(401);
  expect((await app.inject('/nowhere')).json()).toMatchObject({ status: 404, detail: expect.any(String) });
  expect((await app.inject('/whcontent/%zz')).json()).toMatchObject({ status: 400, detail: expect.any(String) });
  await app.close();
  await pool.end();
});

test('shows its five calls in /docs, to which a browser without credentials is sent', async () => {
  const pool = mysql.createPool({ uri: 'mysql://root@127.0.0.1:1/gone' });
  const app = build(pool);
  const docs = (await app.inject('/docs')).body;
  for (const line of ['GET  /  ', 'GET  /webhooks', 'GET  /whcontent ', 'GET  /whcontent/{id}', 'POST /whcontent']) {
    expect(docs).toContain(`\n${line}`);
  }
  const browser = await app.inject({ url: '/', headers: { accept: 'text/html,*/*' } });
  expect(browser).toMatchObject({ statusCode: 302, headers: { location: '/docs' } });
  await app.close();
  await pool.end();
});

/** Reads the log until it says where the service listens. */
async function listening(program: ChildProcess): Promise<URL> {
  let log = '';
  // Left open behind us: a service whose log nobody can take would not end cleanly.
  for await (const chunk of program.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    log += chunk;
    const found = /listening at (http:\/\/[^"]+)/.exec(log)?.[1];
    if (found) return new URL(found);
  }
  throw new Error(`it ended without listening: ${log}`);
}
