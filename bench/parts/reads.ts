// Reads from a table of 300,000 rows against a bare GET server, the driver alone, and FastAPI.
import { crc32 } from 'node:zlib';
import { INDEX } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { type Prepared, prepare } from '../support/database.ts';
import { BODY, load, median } from '../support/load.ts';
import { startFastApi, startOurs, startPlain } from '../support/processes.ts';
import { header, row } from '../support/table.ts';
import { selectAlone } from './driver.ts';
import type { Plan } from './ingest.ts';

const MINE = 200;
const CHUNK = 1_000;
const CONNECTIONS = 64;

/** 300,000 contents of other users below, 200 of ours on top: a page from id 0 has to find its way past them. */
async function fill({ url, userId }: Prepared, others: number): Promise<{ first: number; last: number }> {
  const db = await openDb(url);
  const content = Buffer.from(BODY);
  const head = Buffer.from(
    'POST /in/Vt3kZq8LxN2pWc7RmB4yJd9s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n',
  );
  let first = 0;
  let last = 0;
  for (let done = 0; done < others + MINE; done += CHUNK) {
    const mine = done >= others;
    const rows = Array.from({ length: mine ? MINE : CHUNK }, (_, i) => [
      content,
      '127.0.0.1',
      1,
      '2026-11-22 10:00:00',
      mine ? userId : 1000 + (i % 50),
      mine ? 1 : 7,
    ]);
    await db.transaction(async (queries) => {
      const ids = await queries.insertIds('tblwh', ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'], rows);
      await queries.insert(
        'restante_request',
        ['id', 'size', 'crc', 'received_ms', 'ip', 'head'],
        ids.map((id) => [id, content.length, crc32(content), 1, '127.0.0.1', head]),
      );
      if (mine) [first, last] = [ids[0] as number, ids.at(-1) as number];
    });
  }
  if (db.kind === 'mysql') await db.ddl(INDEX.mysql);
  await db.close();
  return { first, last };
}

export async function reads(server: string, { rounds, seconds, rows, python: wantsPython }: Plan): Promise<void> {
  const database = await prepare(server);
  const { first, last } = await fill(database, rows);
  const ours = await startOurs(database.url);
  const bare = await startPlain('bare');
  const mysql = server.startsWith('mysql:');
  const python = mysql && wantsPython ? await startFastApi(database.url, 'shared') : undefined;
  const headers = { Authorization: database.auth };
  const get = async (base: string, paths: readonly string[]) =>
    load({ url: base, connections: CONNECTIONS, seconds, headers, paths });
  const rawOne =
    'SELECT t.id, CAST(t.content AS BINARY) AS content, t.ip, t.api, t.dt, t.wh_id, r.size, r.crc, r.received_ms, r.ip AS full_ip, r.head FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id';
  const page = `${rawOne} WHERE t.user_id = ? AND t.wh_id = ? AND t.id BETWEEN ? AND ? ORDER BY t.id LIMIT 20`;
  const ids = Array.from({ length: MINE }, (_, i) => first + i);
  const calls: [what: string, paths: string[], sql: string, params: (string | number)[][]][] = [
    ['GET /', ['/'], '', []],
    [
      'one content',
      ids.map((id) => `/whcontent/${id}`),
      `${rawOne} WHERE t.id = ? AND t.user_id = ?`,
      ids.map((id) => [id, database.userId]),
    ],
    ['a page of 20 at the head', [`/whcontent?whid=1&id=${last - 19}`], page, [[database.userId, 1, last - 19, last]]],
    ['a page of 20 from id 0', ['/whcontent?whid=1&id=0'], page, [[database.userId, 1, 0, last]]],
  ];
  header();
  // A page from id 0 tells something only where there is much to skip.
  for (const [what, paths, sql, params] of rows < 100_000 ? calls.slice(0, 3) : calls) {
    const runs = {
      ours: [] as number[],
      bare: [] as number[],
      alone: [] as number[],
      python: [] as number[],
      p50: [] as number[],
      p99: [] as number[],
    };
    for (let round = 0; round < rounds; round++) {
      const mine = await get(ours.url, paths);
      runs.ours.push(mine.perSecond);
      runs.p50.push(mine.p50ms);
      runs.p99.push(mine.p99ms);
      runs.bare.push((await get(bare.url, ['/'])).perSecond);
      if (mysql && sql) runs.alone.push(await selectAlone(database.url, seconds, sql, params));
      if (python) runs.python.push((await get(python.url, paths)).perSecond);
    }
    const mine = { ours: median(runs.ours), p50ms: median(runs.p50), p99ms: median(runs.p99) };
    row({ what: `${what} : bare GET`, ...mine, against: median(runs.bare) });
    if (runs.alone.length > 0) row({ what: `${what} : driver alone`, ours: mine.ours, against: median(runs.alone) });
    if (runs.python.length > 0) row({ what: `${what} : FastAPI`, ours: mine.ours, against: median(runs.python) });
  }
  for (const one of [ours, bare, ...(python ? [python] : [])]) await one.stop();
  await database.drop();
}
