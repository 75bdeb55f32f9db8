// Consumers and their leases as the database keeps them: the same steps as the SQL in src/store/leases.ts, each at its own moment.

import type { ConsumerRow, Locked } from '../../src/store/consumers.ts';
import { StoreError } from '../../src/store/db.ts';
import type { Change, LeaseRow, LeaseRows } from '../../src/store/leases.ts';
import type { Process } from './actors.ts';
import type { Database, Table, Transaction } from './database.ts';
import type { Positions } from './positions.ts';
import type { Flaws } from './weather.ts';
import type { World } from './world.ts';

/** Leases of one consumer lie side by side. */
const SPAN = 1_000_000;

interface Dead {
  readonly pos: number;
  readonly id: number;
  readonly attempt: number;
}

export interface Leases {
  readonly consumers: Table<ConsumerRow>;
  /** Changes a consumer and its rows in one transaction. */
  change<T>(process: Process, id: number, work: (rows: LeaseRows, locked: Locked) => Promise<Change<T>>): Promise<T>;
  /** Contents that a consumer reads and has neither acked nor given up. */
  unfinished(consumer: ConsumerRow): number[];
}

export function createLeases(
  world: World,
  db: Database,
  positions: Positions,
  { anyToken = false }: Flaws = {},
): Leases {
  const consumers = db.table<ConsumerRow>('restante_consumer');
  const leases = db.table<LeaseRow>('restante_lease');
  const dead = db.table<Dead>('restante_dead');
  // What the database does not keep: that it was acked, and by which token.
  const acked = db.table<number>('acked');
  let skew = 0;
  world.spawn(async () => {
    // The clock of the database is set now and then.
    for (;;) {
      await world.sleep(world.random() * 4_000);
      skew = world.int(-800, 800);
    }
  });
  const clock = () => Math.max(1, Math.floor(world.now() + 1_000_000 + skew));

  const reads = ({ whids }: ConsumerRow, wh_id: number) => !whids || whids.includes(wh_id);
  const matchingUpTo = (consumer: ConsumerRow, upTo: number) => {
    const found: number[] = [];
    for (let pos = consumer.start_pos + 1; pos <= upTo; pos++) {
      const placed = positions.table.rows.get(pos);
      if (placed && reads(consumer, placed.wh_id)) found.push(pos);
    }
    return found;
  };

  /** Whatever a consumer has passed is acked, out or dead, and only one of them. */
  function check(consumer: ConsumerRow): void {
    const { id, cursor_pos, ordered } = consumer;
    for (const pos of matchingUpTo(consumer, cursor_pos)) {
      const key = id * SPAN + pos;
      const states = Number(acked.rows.has(key)) + Number(leases.rows.has(key)) + Number(dead.rows.has(key));
      if (states !== 1) world.violation(`consumer ${id} stands at ${cursor_pos}, and ${pos} is in ${states} states`);
    }
    const own = <V>(table: Table<V>) => {
      const found: V[] = [];
      for (const [key, row] of table.rows) if (Math.floor(key / SPAN) === id) found.push(row);
      return found;
    };
    const out = own(leases);
    const earliest = Math.min(...out.map(({ due_ms }) => due_ms));
    if (out.length > 0 && (consumer.next_due_ms === 0 || (!ordered && consumer.next_due_ms > earliest)))
      world.violation(`consumer ${id} thinks that nothing is due before ${consumer.next_due_ms}, but ${earliest} is`);
    if (own(dead).length !== consumer.dead)
      world.violation(`consumer ${id} counts ${consumer.dead} dead letters and has ${own(dead).length}`);
    for (const { pos, attempt } of out)
      if (attempt > consumer.max_attempts || attempt < 0) world.violation(`${pos} was handed out ${attempt} times`);
  }
  db.onVisible((table, _, value) => {
    if (table === (consumers as Table<unknown>)) check(value as ConsumerRow);
  });

  function rowsOf(transaction: Transaction, consumer: ConsumerRow, now: number): LeaseRows {
    const base = consumer.id * SPAN;
    const { ask } = transaction;
    const all = () => transaction.scan(leases, base, base + SPAN - 1).map(([, row]) => row);
    const at = (pos: number) => transaction.read(leases, base + pos);
    const put = (row: LeaseRow) => transaction.write(leases, base + row.pos, row);
    const change = (list: readonly number[], how: (row: LeaseRow) => Partial<LeaseRow>) =>
      ask(() => {
        for (const pos of list) {
          const row = at(pos);
          if (row) put({ ...row, ...how(row) });
        }
      });
    const remove = (rows: readonly LeaseRow[]) => {
      for (const { pos, token } of rows) {
        transaction.write(leases, base + pos, undefined);
        transaction.write(acked, base + pos, token);
      }
      return rows.length;
    };
    const insert = (pos: number, row: Omit<LeaseRow, 'pos'>) => {
      if (at(pos)) throw new StoreError('duplicate', new Error(`lease of ${pos}`));
      put({ pos, ...row });
    };
    const fresh = (after: number, upTo: number) =>
      matchingUpTo(consumer, upTo)
        .filter((pos) => pos > after)
        .map((pos) => ({ pos, id: positions.table.rows.get(pos)?.id as number }));

    return {
      due: (until, limit) =>
        ask(() =>
          all()
            .filter((row) => row.due_ms <= until)
            .slice(0, limit),
        ),
      lowest: (after, limit) =>
        ask(() =>
          all()
            .filter((row) => row.pos > after)
            .slice(0, limit),
        ),
      heldUntil: (until) =>
        ask(() => Math.max(0, ...all().flatMap((row) => (!row.waiting && row.due_ms > until ? [row.due_ms] : [])))),
      at: (list) => ask(() => list.flatMap((pos) => at(pos) ?? [])),
      ofLease: (token, from) =>
        ask(() => all().filter((row) => row.token === token && !row.waiting && row.pos >= from)),
      nextDue: () =>
        ask(() => Math.min(...all().map(({ due_ms }) => due_ms))).then((due) => (due < Infinity ? due : 0)),
      fresh: (head, limit) =>
        ask(() => {
          const upTo = consumer.whids ? head : positions.head;
          const next = fresh(consumer.cursor_pos, upTo).slice(0, limit);
          const last = next.at(-1)?.pos ?? consumer.cursor_pos;
          return { positions: next, upTo: next.length === limit ? last : Math.max(last, head) };
        }),
      handOut: (after, upTo, { token, due }) =>
        ask(() => {
          for (const { pos, id } of fresh(after, upTo)) {
            if (transaction.read(acked, base + pos)) world.violation(`${pos} is handed out though it was acked`);
            insert(pos, { id, token, due_ms: due, attempt: 1, waiting: false });
          }
        }),
      handAgain: (list, { token, due }, counts) =>
        change(list, (row) => {
          if (!row.waiting && row.due_ms > now) world.violation(`${row.pos} is handed out while a worker has it`);
          return { token, due_ms: due, waiting: false, attempt: row.attempt + (counts ? 1 : 0) };
        }),
      removeRange: (token, from, to) =>
        ask(() => remove(all().filter((row) => (anyToken || row.token === token) && row.pos >= from && row.pos <= to))),
      remove: (token, list) =>
        ask(() => remove(list.flatMap((pos) => at(pos) ?? []).filter((row) => row.token === token))),
      removeDue: (until, list) =>
        ask(() => remove(list.flatMap((pos) => at(pos) ?? []).filter((row) => row.due_ms <= until))),
      giveBack: (list, { due, refund, token }) =>
        change(list, (row) => ({
          waiting: true,
          due_ms: due,
          attempt: row.attempt - refund,
          ...(token === undefined ? {} : { token }),
        })),
      extend: (list, due) => change(list, () => ({ due_ms: due })),
      bury: (list) =>
        ask(() => {
          for (const row of list.flatMap((pos) => at(pos) ?? [])) {
            if (transaction.read(dead, base + row.pos))
              throw new StoreError('duplicate', new Error(`${row.pos} is dead`));
            transaction.write(leases, base + row.pos, undefined);
            transaction.write(dead, base + row.pos, { pos: row.pos, id: row.id, attempt: row.attempt });
          }
        }),
      dead: (list) => ask(() => list.filter((pos) => transaction.read(dead, base + pos))),
      deadPositions: (ids, limit) =>
        ask(() => {
          const found = transaction.scan(dead, base, base + SPAN - 1).map(([, { pos, id }]) => ({ pos, id }));
          return ids ? found.filter(({ id }) => ids.includes(id)) : found.slice(0, limit);
        }),
      revive: (list, due) =>
        ask(() => {
          for (const { pos, id } of list.flatMap((pos) => transaction.read(dead, base + pos) ?? [])) {
            insert(pos, { id, token: 0, due_ms: due, attempt: 0, waiting: true });
            transaction.write(dead, base + pos, undefined);
          }
        }),
      put: (list, due) =>
        ask(() => {
          for (const pos of list) {
            const id = positions.table.rows.get(pos)?.id;
            if (id === undefined) continue;
            put({ pos, id, token: 0, due_ms: due, attempt: 0, waiting: true });
            transaction.write(acked, base + pos, undefined);
          }
        }),
      forget: (from) =>
        ask(() => {
          for (const [key] of transaction.scan(leases, base, base + SPAN - 1))
            transaction.write(leases, key, undefined);
          for (const [key] of transaction.scan(acked, base + from, base + SPAN - 1))
            transaction.write(acked, key, undefined);
          const found = transaction.scan(dead, base + from, base + SPAN - 1);
          for (const [key] of found) transaction.write(dead, key, undefined);
          return found.length;
        }),
      positionsOf: (ids) =>
        ask(() =>
          ids.flatMap((id) => {
            const placed = positions.of(id);
            return placed ? [{ pos: placed.pos, id, wh_id: placed.wh_id }] : [];
          }),
        ),
    };
  }

  return {
    consumers,
    change: (process, id, work) =>
      process.transaction(async (transaction) => {
        await process.delay();
        // One statement: its clock and its snapshot are those of its beginning, before it waits for the lock.
        const now = clock();
        const head = positions.head;
        await transaction.lock(consumers, id);
        const consumer = transaction.read(consumers, id) as ConsumerRow;
        await process.delay();
        const {
          consumer: next,
          result,
          quiet,
        } = await work(rowsOf(transaction, consumer, now), { consumer, now, head });
        if (next === consumer) return result;
        const saved = quiet
          ? { ...consumer, cursor_pos: next.cursor_pos, pulled_ms: next.pulled_ms }
          : { ...next, version: consumer.version + 1 };
        await transaction.ask(() => transaction.write(consumers, id, saved));
        return result;
      }),
    unfinished: (consumer) =>
      matchingUpTo(consumer, positions.head).filter(
        (pos) => !acked.rows.has(consumer.id * SPAN + pos) && !dead.rows.has(consumer.id * SPAN + pos),
      ),
  };
}
