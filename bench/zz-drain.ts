// Temporary: how fast one consumer is drained by pull + ack.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createConnection } from 'mysql2/promise';
import { readConfig } from '../src/config.ts';
import { buildApp } from '../src/http/app.ts';
import { createContext } from '../src/http/create.ts';
import { insertContents } from '../src/store/contents.ts';
import { openDb, openStore } from '../src/store/index.ts';
import { migrate } from '../src/store/migrations.ts';
import { placeRows } from '../src/store/positions.ts';
import { addUser } from '../src/store/users.ts';
import { startServer } from '../test/servers.ts';

const engine = process.argv[2] ?? 'sqlite';
const total = Number(process.argv[3] ?? 60_000);
const lanes = process.argv[4] ?? '1,2,4';
const limit = process.argv[5] ?? '500';
const server = engine === 'sqlite' ? undefined : await startServer(engine as 'mysql');
let url = `sqlite:${mkdtempSync('/tmp/drain-')}/x.db`;
if (server) {
  const c = await createConnection(server.url);
  await c.query('CREATE DATABASE drain');
  await c.end();
  url = `${server.url}drain`;
  const db = await openDb(url);
  await migrate(db, true, () => {});
  await db.close();
}
const store = await openStore(url);
const config = readConfig({ PORT: '0', DATABASE_URL: url });
const user = await addUser(store.db, { email: '', phone: '', token: 'T'.repeat(32) });
const head = Buffer.from(
  'POST /in/Vt3kZq8LxN2pWc7RmB4yJd9s HTTP/1.1\r\nHost: 127.0.0.1:4343\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nStripe-Signature: t=1700000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd\r\n',
);
const content = Buffer.from(JSON.stringify({ id: 'evt_1', type: 'charge.succeeded', data: 'x'.repeat(950) }));
for (let at = 0; at < total; at += 500) {
  const rows = Array.from({ length: 500 }, () => ({ user_id: user, wh_id: 0, content, api: 1 as const, dt: '2026-11-22 10:00:00', received_ms: Date.now(), ip: '3.18.12.63', head }));
  const ids = await insertContents(store, rows);
  if (engine !== 'sqlite') await placeRows(store.db, ids.map((id) => ({ id, user_id: user, wh_id: 0 })));
}
const log = { debug() {}, info() {}, warn: console.log, error: console.log };
const spent = new Map<string, [number, number]>();
const timed = <T>(sql: string, work: () => Promise<T>): Promise<T> => {
  const at = performance.now();
  const key = sql.replace(/\s+/g, ' ').slice(0, 70);
  return work().finally(() => {
    const [n, ms] = spent.get(key) ?? [0, 0];
    spent.set(key, [n + 1, ms + performance.now() - at]);
  });
};
const wrap = (q: any) => ({ ...q, all: (s: string, p: any) => timed(s, () => q.all(s, p)), run: (s: string, p: any) => timed(s, () => q.run(s, p)) });
const db: any = process.env.TIMED ? { ...wrap(store.db), scan: (s: string, p: any, e: any) => timed(s, () => store.db.scan(s, p, e)), transaction: (w: any, who: any) => timed('TRANSACTION', () => store.db.transaction((q) => w(wrap(q)), who)) } : store.db;
const context = await createContext({ store: { ...store, db }, config, log });
const app = await buildApp(context);
await app.fastify.listen({ host: '127.0.0.1', port: 0 });
const { port } = app.server.address() as AddressInfo;
console.log(store.db.version, total, 'contents of', content.length, 'bytes');
import { Session } from 'node:inspector/promises';
const session = new Session();
session.connect();
if (process.env.PROF) { await session.post('Profiler.enable'); await session.post('Profiler.setSamplingInterval', { interval: 500 }); await session.post('Profiler.start'); }
for (const lane of lanes.split(',')) {
  const cpu = process.cpuUsage();
  const child = spawn(process.execPath, ['bench/zz-drain-client.mjs', String(port), `${user}:${'T'.repeat(32)}`, `c${lane}`, lane, limit], { stdio: 'inherit' });
  await new Promise((resolve) => child.on('exit', resolve));
  const used = process.cpuUsage(cpu);
  console.log('   server cpu s', ((used.user + used.system) / 1e6).toFixed(2), 'us/content', ((used.user + used.system) / total).toFixed(1));
}
if (process.env.PROF) {
  const { profile: p } = await session.post('Profiler.stop') as any;
  const byId = new Map(p.nodes.map((n: any) => [n.id, n])); const self = new Map<string, number>();
  p.samples.forEach((s: any, i: number) => { const n: any = byId.get(s); const k = `${n.callFrame.functionName || '(anon)'} ${n.callFrame.url.split('/').slice(-2).join('/')}:${n.callFrame.lineNumber}`; self.set(k, (self.get(k) ?? 0) + p.timeDeltas[i]); });
  for (const [k, v] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 26)) console.log((v / 1e3).toFixed(0).padStart(7), 'ms', (v / total).toFixed(2), 'us/content', k);
}
for (const [k, [n, ms]] of [...spent].sort((a, b) => b[1][1] - a[1][1]).slice(0, 14)) console.log(String(n).padStart(6), ms.toFixed(0).padStart(7), 'ms', (ms / n).toFixed(2), k);
await app.close();
await store.close();
await server?.stop();
process.exit(0);
