// Prepared statements are kept for ever, so they must be small: one of hundreds of parameters is as small as one of two.
import { expect, test } from 'vitest';
import { collector } from '../../src/observe/overload.ts';
import { openDb } from '../../src/store/open.ts';
import { type Engine, migratedDatabase } from '../support/engines.ts';

const collect = collector();
async function used(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test.each(['mariadb', 'mysql'] satisfies Engine[])('%s: 64 sizes of an INSERT take little memory', async (engine) => {
  const database = await migratedDatabase(engine);
  const db = await openDb(database.url);
  const columns = ['id', 'size', 'crc', 'received_ms', 'ip', 'head'];
  let id = 0;
  const insert = (size: number) =>
    db.transaction((queries) =>
      queries.insert(
        'restante_request',
        columns,
        Array.from({ length: size }, () => [
          ++id,
          3_000_000_000,
          4_294_967_295,
          1_900_000_000_000,
          'ab',
          Buffer.from([0, 255]),
        ]),
      ),
    );
  await insert(1);
  const before = await used();
  for (let size = 2; size <= 64; size++) await insert(size);
  // 2,079 rows of 6 columns are 12,474 parameters, which took 3 MB and more.
  expect((await used()) - before).toBeLessThan(1.2e6);
  const rows = await db.all<{ n: number; low: number; sizes: number }>(
    `SELECT COUNT(*) AS n, MIN(crc) AS low, COUNT(DISTINCT size, received_ms, ip, HEX(head)) AS sizes FROM restante_request
     WHERE size = 3000000000 AND received_ms = 1900000000000 AND head = 0x00ff`,
  );
  expect(rows).toEqual([{ n: 2_080, low: 4_294_967_295, sizes: 1 }]);
  await db.close();
  await database.drop();
});
