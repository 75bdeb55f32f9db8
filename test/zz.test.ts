import { createConnection } from 'mysql2/promise';
import { test } from 'vitest';
import { startServer } from './servers.ts';
import { baseTables } from './classic.ts';
import { openDb } from '../src/store/index.ts';
import { migrate } from '../src/store/migrations.ts';
import { startService } from './engines.ts';
test.each(['mariadb','mysql'] as const)('%s fill', async (flavour) => {
  const s = await startServer(flavour, { args: ['--sql-mode=', '--skip-log-bin', '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0', '--innodb-buffer-pool-size=1600M', '--innodb-flush-method=nosync', ...(flavour==='mysql'?['--innodb-redo-log-capacity=3G']:['--innodb-log-file-size=3G'])] });
  const c = await createConnection(s.url);
  await c.query('CREATE DATABASE loose');
  await c.query('USE loose');
  for (const sql of baseTables) await c.query(sql);
  const db = await openDb(`${s.url}loose`); await migrate(db, false, () => {}); await db.close();
  const service = await startService(`${s.url}loose`);
  const user = await service.user(); const other = await service.user();
    let t0 = Date.now();
    const lap = (n: string) => { console.log(flavour, n, Date.now()-t0); t0 = Date.now(); };
    await c.query("INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES (REPEAT('x',10485760),'',0,'',?,0)", [user.id]);
    for (const n of [1,2,4,8,16,32,36]) await c.query(`INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) SELECT content, ip, api, dt, user_id, wh_id FROM tblwh LIMIT ${n}`);
  lap('fill');
  const sql = (o: string) => `SELECT t.id, CAST(t.content AS BINARY) AS content, t.ip, r.size, r.head FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id WHERE t.user_id = 1 AND t.wh_id = 0 AND t.id BETWEEN 0 AND 1000 ORDER BY t.id ${o} LIMIT 100`;
  for (const o of ['ASC','DESC']) console.log((await c.query('EXPLAIN ' + sql(o)))[0]);
  lap('explain');
  for (const [q, u] of [['', user], ['&id=5', user], ['&order=desc', user], ['', other]] as const) {
    const a = await fetch(`${service.url}/whcontent?limit=100${q}`, { headers: { authorization: u.auth } });
    const t = await a.text(); lap(`${q} ${a.status} ${t.length}`);
  }
  await c.query('SELECT id FROM tblwh WHERE user_id = 999'); lap('ids of nobody');
  await service.close(); lap('close');
  await c.end(); await s.kill(); await s.stop();
}, 120000);
