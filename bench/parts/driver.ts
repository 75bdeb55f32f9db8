// The database driver alone, without HTTP: the same rows inserted in the same way, the same reads. `tsx bench/driver.ts`
import mysql from 'mysql2/promise';
import { openSqlite } from '../../src/store/engine/sqlite.ts';
import { BODY } from '../support/load.ts';

const SIZE = 128;
const HEAD = Buffer.from(
  `POST /in/Vt3kZq8LxN2pWc7RmB4yJd9s HTTP/1.1\r\nHost: 127.0.0.1:4343\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n`,
);
const content = Buffer.from(BODY);
const marks = (columns: number, rows: number) =>
  Array(rows)
    .fill(`(${Array(columns).fill('?').join(',')})`)
    .join(',');
const CONTENT = `INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ${marks(6, SIZE)}`;
const REQUEST = `INSERT INTO restante_request (id, size, crc, received_ms, ip, head) VALUES ${marks(6, SIZE)}`;
const contentRow = [content, '127.0.0.1', 1, '2026-11-22 10:00:00', 1, 1];

/** Rows per second: two connections, multi-row prepared statements of 128 rows, both tables in one transaction. */
export async function insertAlone(url: string, seconds: number): Promise<number> {
  if (url.startsWith('sqlite:')) return insertSqlite(url, seconds);
  const until = performance.now() + seconds * 1000;
  let rows = 0;
  const lane = async () => {
    const connection = await mysql.createConnection({ uri: url, charset: 'utf8mb4' });
    await connection.query('SET autocommit = 0');
    const contents = Array(SIZE).fill(contentRow).flat();
    while (performance.now() < until) {
      const [{ insertId }] = await connection.execute<mysql.ResultSetHeader>(CONTENT, contents);
      await connection.execute(
        REQUEST,
        Array.from({ length: SIZE }, (_, i) => [insertId + i, content.length, 1, 1, '127.0.0.1', HEAD]).flat(),
      );
      await connection.query('COMMIT');
      rows += SIZE;
    }
    await connection.end();
  };
  await Promise.all([lane(), lane()]);
  return rows / seconds;
}

async function insertSqlite(url: string, seconds: number): Promise<number> {
  const db = await openSqlite(url.slice('sqlite:'.length));
  const until = performance.now() + seconds * 1000;
  let rows = 0;
  while (performance.now() < until) {
    await db.transaction(async (queries) => {
      const ids = await queries.insertIds(
        'tblwh',
        ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
        Array(SIZE).fill(contentRow),
      );
      await queries.insert(
        'restante_request',
        ['id', 'size', 'crc', 'received_ms', 'ip', 'head'],
        ids.map((id) => [id, content.length, 1, 1, '127.0.0.1', HEAD]),
      );
    });
    rows += SIZE;
  }
  await db.close();
  return rows / seconds;
}

/** Statements per second over a pool of 8 with 64 in flight; `params` in turn. */
export async function selectAlone(
  url: string,
  seconds: number,
  sql: string,
  params: readonly (string | number)[][],
): Promise<number> {
  const until = performance.now() + seconds * 1000;
  let done = 0;
  const pool = mysql.createPool({ uri: url, charset: 'utf8mb4', connectionLimit: 8 });
  const worker = async () => {
    while (performance.now() < until) {
      await pool.execute(sql, params[done % params.length]);
      done++;
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  await pool.end();
  return done / seconds;
}
