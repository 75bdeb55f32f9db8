// Events on SQLite are indexed behind their contents: in random order each would rewrite a page, many at a time and sorted few.
import type { Db, Value } from './db.ts';
import { EVENTS, type Event, eventName } from './events.ts';
import { insertSql, statementsFor } from './multirow.ts';
import { readMark, saveMark } from './positions.ts';

const COLUMNS = ['event_key', 'duplicate_of', 'id'];
// Each part stops everybody else for some milliseconds.
const PART_ROWS = 1_000;
const MOST_ROWS = 50_000;
// It rests for nine times as long as it worked: never more than a tenth of the time, and the larger the table has grown,
// the more rows share a page.
const LEAST_REST_MS = 500;
const REST = 9;

export interface EventIndex {
  /** Events of one transaction, after it was committed. */
  add(events: readonly Event[]): void;
  /** The newest that is no duplicate, of those that may not be in the index yet. */
  first(name: string): Event | undefined;
  /** Resolves when everything that is committed is in the index. */
  settle(): Promise<void>;
  close(): void;
}

export function createEventIndex(db: Db): EventIndex {
  // What was committed since the last pass began, and what that one is working on.
  let added = new Map<string, Event>();
  let underWay = new Map<string, Event>();
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let rest = LEAST_REST_MS;

  function settle(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    running ??= pass().finally(() => {
      running = undefined;
      if (added.size > 0) soon();
    });
    return running;
  }

  async function pass(): Promise<void> {
    const began = performance.now();
    underWay = added;
    added = new Map();
    try {
      while ((await indexSome(db)) === MOST_ROWS);
    } catch (error) {
      // They are found again by the mark; until then they are known here.
      added = new Map([...underWay, ...added]);
      throw error;
    } finally {
      underWay = new Map();
      rest = Math.max(LEAST_REST_MS, REST * (performance.now() - began));
    }
  }

  const soon = (): void => {
    timer ??= setTimeout(() => settle().catch(() => {}), rest).unref();
  };

  return {
    add(events) {
      for (const event of events) added.set(eventName(event.wh_id, event.event_key), event);
      if (added.size > 0 && !running) soon();
    },
    first: (name) => added.get(name) ?? underWay.get(name),
    // What was committed after a pass began is not in it.
    settle: () => (running ?? Promise.resolve()).then(settle),
    close: () => clearTimeout(timer),
  };
}

/** Indexes the rows behind the mark, `MOST_ROWS` at most, and sets it; resolves with how many rows it passed. */
async function indexSome(db: Db): Promise<number> {
  const from = (await readMark(db, 'event')) ?? 0;
  const found: Value[][] = [];
  const sql = `SELECT id, event_key, COALESCE(duplicate_of, 0) AS duplicate_of FROM restante_request WHERE id > ? ORDER BY id LIMIT ${PART_ROWS}`;
  let passed = 0;
  let at = from;
  for (let part = PART_ROWS; part === PART_ROWS && passed < MOST_ROWS; passed += part) {
    const rows = await db.all<{ id: number; event_key: Buffer | null; duplicate_of: number }>(sql, [at]);
    for (const { id, event_key, duplicate_of } of rows) if (event_key) found.push([event_key, duplicate_of, id]);
    part = rows.length;
    at = rows.at(-1)?.id ?? at;
    await turn();
  }
  found.sort(([a], [b]) => (a as Buffer).compare(b as Buffer));
  for (let i = 0; i < found.length; i += PART_ROWS) {
    const rows = found.slice(i, i + PART_ROWS);
    await db.transaction(async (queries) => {
      // Some may be there already: after a crash, or because another one did it.
      for (const { size, values } of statementsFor(rows))
        await queries.run(insertSql(EVENTS.sqlite, COLUMNS, size, ' ON CONFLICT DO NOTHING'), values);
    });
    await turn();
  }
  if (at > from) await saveMark(db, 'event', at);
  return passed;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
