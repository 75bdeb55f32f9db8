// Multi-row INSERT statements: few texts, each prepared once and used for ever.
import { marks, type Rows, type Value } from '../db.ts';

// Batches up to this size have a statement of their own; larger ones are cut into these powers and a rest. Each statement
// is a round trip or a call into the driver, and each size is one that has to be kept prepared.
const EXACT_ROWS = 64;
const POWERS = [256, 128, EXACT_ROWS];

/** How many rows each statement takes of those that insert `count` rows. */
export function* sizesOf(count: number): Generator<number> {
  for (let left = count; left > 0; ) {
    const size = left <= EXACT_ROWS ? left : (POWERS.find((power) => power <= left) as number);
    yield size;
    left -= size;
  }
}

/** The statements that insert `rows`: how many rows each takes, and their values one after the other. */
export function* statementsFor(rows: Rows): Generator<{ size: number; values: Value[] }> {
  let from = 0;
  for (const size of sizesOf(rows.length)) {
    const values: Value[] = [];
    for (const end = from + size; from < end; from++) values.push(...(rows[from] as readonly Value[]));
    yield { size, values };
  }
}

const texts = new Map<string, string>();
/** The text for so many rows; the same string object each time, so that a driver finds its statement quickly. */
export function insertSql(table: string, columns: readonly string[], rows: number, suffix = ''): string {
  const key = `${table} ${columns.length} ${rows}${suffix}`;
  let sql = texts.get(key);
  if (!sql) {
    const row = `(${marks(columns.length)})`;
    sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${Array(rows).fill(row).join(', ')}${suffix}`;
    texts.set(key, sql);
  }
  return sql;
}
