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
    console.log(label.padEnd(14), `user ${u} cursor ${cur}`.padEnd(24), ms.toFixed(2), 'ms', ms > 3 ? JSON.stringify(await db.all(`EXPLAIN ${text}`, params)).slice(0, 300) : '');
  }
};

const show = async (sql: string, params: any[]) => {
  for (let k = 0; k < 3; k++) {
    const at = performance.now();
    await db.all(sql, params);
    console.log((performance.now() - at).toFixed(2), 'ms prepared');
  }
  const text = sql.replace(/\?/g, () => String(params.shift()));
  for (let k = 0; k < 3; k++) {
    const at = performance.now();
    await c.query(text.replaceAll('restante_position', 'd.restante_position'));
    console.log((performance.now() - at).toFixed(2), 'ms text');
  }
  const [r] = await c.query(`${process.argv[2] === 'mysql' ? 'EXPLAIN ANALYZE' : 'ANALYZE FORMAT=JSON'} ${text.replaceAll('restante_position', 'd.restante_position')}`);
  console.log(text, '\n', Object.values((r as any)[0])[0]);
};
await show('SELECT pos, id FROM restante_position IGNORE INDEX (PRIMARY) WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT ?', [1, 0, 20]);
await show('SELECT pos, id FROM restante_position FORCE INDEX (ix_user) WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT ?', [1, 150000, 20]);
await show('SELECT pos FROM restante_position FORCE INDEX (ix_user) WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT ?', [1, 150000, 20]);
await db.close(); await server.stop(); process.exit(0);
