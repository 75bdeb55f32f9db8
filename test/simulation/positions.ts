// The order of visibility as the database keeps it: the same steps as the SQL in src/store/positions.ts, each at its own moment.
import type { SequencerSource } from '../../src/reading/sequencer.ts';
import { StoreError } from '../../src/store/db.ts';
import type { Row } from '../../src/store/fence/source.ts';
import type { PositionedRow } from '../../src/store/positions.ts';
import type { Process } from './actors.ts';
import type { Content, Contents } from './contents.ts';
import type { Database, Table } from './database.ts';
import type { Flaws } from './weather.ts';
import type { World } from './world.ts';

export interface Positions {
  readonly table: Table<PositionedRow>;
  /** The highest position that can be seen. */
  readonly head: number;
  /** What a sequencer in this process asks. */
  source(process: Process): SequencerSource;
  /** Contents with id <= `upTo` that have no position. */
  unplaced(process: Process, upTo: number): Promise<readonly Row[]>;
  /** The position of a content that can be seen now. */
  of(id: number): PositionedRow | undefined;
}

const SEQ = 0;

export function createPositions(
  world: World,
  db: Database,
  contents: Contents,
  { positionsFromMemory = false }: Flaws = {},
): Positions {
  const table = db.table<PositionedRow>('restante_position');
  const byId = db.table<number>('restante_position.uq_id');
  const meta = db.table<number>('restante_meta');
  meta.rows.set(SEQ, 1);
  const vanished = new Set<number>();
  const onDisk = new Map<number, PositionedRow>();
  let highest = 0;

  db.onVisible((in_, pos, value) => {
    if (in_ !== (table as Table<unknown>)) return;
    const { id } = value as PositionedRow;
    world.note(() => `position ${pos} is ${id}`);
    if (pos !== highest + 1) world.violation(`position ${pos} was given after ${highest}`);
    highest = pos;
    if (byId.rows.get(id) !== pos) world.violation(`${id} has position ${byId.rows.get(id)} and ${pos}`);
  });
  db.onDurable((in_, pos, value) => {
    if (in_ !== (table as Table<unknown>)) return;
    const placed = value as PositionedRow;
    const before = onDisk.get(pos);
    if (before && before.id !== placed.id) world.violation(`position ${pos} was ${before.id} and became ${placed.id}`);
    onDisk.set(pos, placed);
    if (vanished.has(placed.user_id)) world.violation(`position ${pos} was given to ${placed.id}, which had vanished`);
  });
  db.onVanished((in_, key, value) => {
    if (in_ === (table as Table<unknown>)) highest = Math.min(highest, key - 1);
    if (in_ !== (contents.table as Table<unknown>)) return;
    const { id, user_id } = value as Content;
    vanished.add(user_id);
    for (const row of onDisk.values())
      if (row.user_id === user_id) world.violation(`${id} vanished after it had got position ${row.pos} on disk`);
  });

  const has = (id: number) => byId.rows.has(id);
  return {
    table,
    get head() {
      return highest;
    },
    of: (id) => table.rows.get(byId.rows.get(id) ?? 0),
    source: (process) => ({
      assign: (rows, next) =>
        process.transaction(async (transaction) => {
          await process.delay();
          await transaction.lock(meta, SEQ);
          const { first, now } = await transaction.ask(() => ({
            first: transaction.read(meta, SEQ) as number,
            now: world.now(),
          }));
          const have =
            first === next
              ? new Set<number>()
              : await transaction.ask(() => new Set(rows.map(({ id }) => id).filter(has)));
          const missing = rows.filter(({ id }) => !have.has(id)).sort((a, b) => a.id - b.id);
          const numbered = (list: readonly Row[]) =>
            list.map(
              ({ id, user_id, wh_id }, i): PositionedRow => ({ pos: first + i, id, user_id, wh_id, seen_ms: now }),
            );
          const copied = await transaction.ask(() => {
            // What can be read now is before us in the log: it is lost with our position or not at all. A range names a row once.
            const ids = [...new Set(missing.map(({ id }) => id))];
            const there = positionsFromMemory ? missing : ids.flatMap((id) => contents.table.rows.get(id) ?? []);
            for (const row of numbered(there)) {
              if (has(row.id)) throw new StoreError('duplicate', new Error(`position of ${row.id}`));
              transaction.write(table, row.pos, row);
              transaction.write(byId, row.id, row.pos);
            }
            return there;
          });
          // In doubt it is read back: an id may be another content's since it was seen.
          const assigned = numbered(first === next && copied.length === missing.length ? missing : copied);
          if (assigned.length === 0) return { first, assigned };
          await transaction.ask(() => transaction.write(meta, SEQ, first + assigned.length));
          return { first, assigned };
        }),
      state: () =>
        db.ask(process.delay, () => ({
          next: meta.rows.get(SEQ) as number,
          highest: Math.max(0, ...byId.rows.keys()),
        })),
      between: (from, to) =>
        db.ask(process.delay, () => {
          const rows: PositionedRow[] = [];
          for (let pos = from; pos < to; pos++) {
            const row = table.rows.get(pos);
            if (row) rows.push(row);
          }
          return rows;
        }),
    }),
    unplaced: (process, upTo) =>
      db.ask(process.delay, () => contents.visible(0).filter(({ id }) => id <= upTo && !has(id))),
  };
}
