// What stands in the tables in the end, of one user: the measure for whatever readers and workers were handed.
import { openDb } from '../../../src/store/open.ts';
import type { World } from '../world.ts';
import { hashOf } from './readers.ts';

export interface Position {
  readonly pos: number;
  readonly id: number;
  readonly wh_id: number;
}

/** All there is of one user, by the tables themselves. */
export interface Truth {
  readonly hashes: ReadonlyMap<number, string>;
  /** The first word of every content from `from` on, whoever it belongs to, and how often it is there. */
  readonly names: ReadonlyMap<string, number>;
  readonly positions: readonly Position[];
  /** Positions, of whoever, that were left out. */
  readonly leftOut: number;
  readonly consumers: ReadonlyMap<
    string,
    {
      readonly start: number;
      readonly cursor: number;
      readonly open: ReadonlySet<number>;
      readonly dead: ReadonlySet<number>;
    }
  >;
}

const ROWS_PER_READ = 5_000;

export async function readTruth(world: World, from: number): Promise<Truth> {
  const db = await openDb(world.databaseUrl);
  try {
    const hashes = new Map<number, string>();
    const names = new Map<string, number>();
    const sql = `SELECT id, user_id, ${db.dialect.bytes('content')} AS content FROM tblwh WHERE id >= ? ORDER BY id LIMIT ?`;
    for (let next = from; ; ) {
      const rows = await db.all<{ id: number; user_id: number; content: Buffer }>(sql, [next, String(ROWS_PER_READ)]);
      for (const { id, user_id, content } of rows) {
        if (user_id === world.userId) hashes.set(id, hashOf(content));
        const space = content.indexOf(' ');
        const name = content.toString('latin1', 0, Math.max(0, space));
        names.set(name, (names.get(name) ?? 0) + 1);
      }
      if (rows.length < ROWS_PER_READ) break;
      next = (rows.at(-1)?.id ?? 0) + 1;
    }
    const positions = await db.all<Position>(
      'SELECT pos, id, wh_id FROM restante_position WHERE user_id = ? ORDER BY pos',
      [world.userId],
    );
    const consumers = new Map<string, { start: number; cursor: number; open: Set<number>; dead: Set<number> }>();
    const made = await db.all<{ id: number; name: string; start_pos: number; cursor_pos: number }>(
      'SELECT id, name, start_pos, cursor_pos FROM restante_consumer WHERE user_id = ?',
      [world.userId],
    );
    for (const { id, name, start_pos, cursor_pos } of made) {
      const idsOf = async (table: string) =>
        new Set(
          (await db.all<{ id: number }>(`SELECT id FROM ${table} WHERE consumer_id = ?`, [id])).map((row) => row.id),
        );
      consumers.set(name, {
        start: start_pos,
        cursor: cursor_pos,
        open: await idsOf('restante_lease'),
        dead: await idsOf('restante_dead'),
      });
    }
    const [all] = await db.all<{ n: number; low: number | null; high: number | null }>(
      'SELECT COUNT(*) AS n, MIN(pos) AS low, MAX(pos) AS high FROM restante_position',
    );
    const leftOut = all && all.n > 0 ? (all.high ?? 0) - (all.low ?? 0) + 1 - all.n : 0;
    return { hashes, names, positions, leftOut, consumers };
  } finally {
    await db.close();
  }
}
