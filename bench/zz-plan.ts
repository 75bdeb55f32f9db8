// Temporary: plans in adverse distributions.
import { createConnection } from 'mysql2/promise';
import { openDb } from '../src/store/index.ts';
import { migrate } from '../src/store/migrations.ts';
import { startServer } from '../test/servers.ts';
const server = await startServer((process.argv[2] ?? 'mariadb') as 'mysql');
const c = await createConnection(server.url);
await c.query('CREATE DATABASE d');
const db = await openDb(`${server.url}d`);
await migrate(db, true, () => {});
const N = 300000;
// user 1: half of everything; user 2: one in 50; user 3: only the first 20000; user 4: only the last 100
const userOf = (i: number) => (i <= 20000 && i % 2 ? 3 : i > N - 200 && i % 2 ? 4 : i % 50 === 0 ? 2 : i % 2 ? 1 : 100 + (i % 97));
for (let at = 0; at < N; at += 500) await db.insert('restante_position', ['pos', 'id', 'user_id', 'wh_id', 'seen_ms'], Array.from({ length: 500 }, (_, i) => [at + i + 1, at + i + 30, userOf(at + i + 1), (at + i) % 5, 1]));
const M = Number.MAX_SAFE_INTEGER;
const run = async (label: string, sql: (u: number, cur: number) => [string, any[]]) => {
  for (const [u, cur] of [[1, 0], [1, 150000], [1, 290000], [1, 299990], [2, 0], [2, 150000], [2, 299000], [3, 0], [3, 19990], [3, 250000], [4, 0], [4, 299900], [999, 0]] as const) {
    const [text, params] = sql(u, cur);
    await db.all(text, params);
    const at = performance.now();
    for (let i = 0; i < 20; i++) await db.all(text, params);
    const ms = (performance.now() - at) / 20;
    console.log(label.padEnd(14), `user ${u} cursor ${cur}`.padEnd(24), ms.toFixed(2), 'ms', ms > 2 ? JSON.stringify(await db.all(`EXPLAIN ${text}`, params)).slice(0, 300) : '');
  }
};
const variants: [string, (u: number, cur: number) => [string, any[]]][] = [
  ['fresh', (u, cur) => ['SELECT pos, id FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT ?', [u, cur, 20]]],
  ['fresh oui', (u, cur) => ['SELECT pos, id FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos > ? ORDER BY user_id, pos LIMIT ?', [u, cur, 20]]],
  ['count', (u, cur) => ['SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos > ? AND pos <= ? LIMIT ?) a', [u, cur, M, 1001]]],
  ['filter', (u, cur) => ['SELECT pos, id FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND wh_id IN (?,?) AND pos > ? AND pos <= ? ORDER BY pos LIMIT ?', [u, 2, 2, cur, N, 20]]],
  ['insel', (u, cur) => ['SELECT pos, id FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos > ? AND pos <= ?', [u, cur, cur + 500]]],
  ['seen', (u, cur) => ['SELECT seen_ms FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos > ? AND pos <= ? ORDER BY pos LIMIT 1', [u, cur, M]]],
  ['last', (u, cur) => ['SELECT id FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos <= ? ORDER BY pos DESC LIMIT 1', [u, cur]]],
  ['offset', (u, cur) => ['SELECT pos FROM restante_position /*! FORCE INDEX (ix_user) */ WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT 1 OFFSET ?', [u, cur, 20000]]],
];
for (const [l, f] of variants) if (!process.argv[3] || process.argv[3].split(',').includes(l)) await run(l, f);
await db.close(); await server.stop(); process.exit(0);
