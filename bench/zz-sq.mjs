// Temporary: what a row costs in the driver.
import { createRequire } from 'node:module';
const { DatabaseSync } = createRequire(import.meta.url)('@photostructure/sqlite');
const db = new DatabaseSync(':memory:');
db.exec('PRAGMA page_size=8192; CREATE TABLE t (id INTEGER PRIMARY KEY, content TEXT, ip TEXT, api INTEGER, dt TEXT, user_id INTEGER, wh_id INTEGER); CREATE TABLE r (id INTEGER PRIMARY KEY, size INTEGER, crc INTEGER, received_ms INTEGER, ip TEXT, head BLOB)');
const c = Buffer.alloc(1000, 97), h = Buffer.alloc(320, 98);
const it = db.prepare('INSERT INTO t VALUES (?,?,?,?,?,?,?)'), ir = db.prepare('INSERT INTO r VALUES (?,?,?,?,?,?)');
db.exec('BEGIN'); for (let i = 1; i <= 60000; i++) { it.run(i, c, '1.2.3.4', 1, '2026-11-22 10:00:00', 1, 0); ir.run(i, 1000, 1, Date.now(), '1.2.3.4', h); } db.exec('COMMIT');
const ids = (n) => Array.from({ length: 512 }, (_, i) => n + Math.min(i, 499));
const IN = Array(512).fill('?').join(',');
const bench = (name, sql, how, args = (n) => ids(n)) => {
  const s = db.prepare(sql); let rows = 0;
  if (how === 'arr') s.setReturnArrays?.(true);
  const at = performance.now();
  for (let n = 1; n < 59000; n += 500) { if (how === 'it') for (const r of s.iterate(...args(n))) rows++; else rows += s.all(...args(n)).length; }
  console.log(name.padEnd(40), ((performance.now() - at) * 1000 / rows).toFixed(1), 'us/row', rows);
};
const all = 't.id, CAST(t.content AS BLOB) AS content, t.ip, t.api, t.dt, t.wh_id, r.size, r.crc, r.received_ms, r.ip AS full_ip, r.head';
const from = 'FROM t LEFT JOIN r ON r.id = t.id';
bench('all cols iterate IN', `SELECT ${all} ${from} WHERE t.id IN (${IN}) ORDER BY t.id`, 'it');
bench('all cols all() IN', `SELECT ${all} ${from} WHERE t.id IN (${IN}) ORDER BY t.id`, 'all');
bench('all cols all() arrays IN', `SELECT ${all} ${from} WHERE t.id IN (${IN}) ORDER BY t.id`, 'arr');
bench('all cols iterate range', `SELECT ${all} ${from} WHERE t.id BETWEEN ? AND ? ORDER BY t.id`, 'it', (n) => [n, n + 499]);
bench('all cols all() range', `SELECT ${all} ${from} WHERE t.id BETWEEN ? AND ? ORDER BY t.id`, 'all', (n) => [n, n + 499]);
bench('id only IN', `SELECT t.id FROM t WHERE t.id IN (${IN}) ORDER BY t.id`, 'it');
bench('id only range', `SELECT t.id FROM t WHERE t.id BETWEEN ? AND ?`, 'all', (n) => [n, n + 499]);
bench('bodies only IN', `SELECT t.id, CAST(t.content AS BLOB) AS content FROM t WHERE t.id IN (${IN}) ORDER BY t.id`, 'it');
bench('bodies, head range', `SELECT t.id, CAST(t.content AS BLOB) AS content, r.head ${from} WHERE t.id BETWEEN ? AND ?`, 'all', (n) => [n, n + 499]);
