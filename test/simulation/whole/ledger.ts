// What must hold in every world of the whole program, checked at the moment at which it could break.
//
// The ledger knows what every sender, worker and reader was told, and sees every commit. It asks the program nothing.

import { decodeLease } from '../../../src/consumers/lease-token.ts';
import type { Rows } from '../../../src/store/db.ts';
import type { World } from '../world.ts';
import type { Server, Transaction, Watcher } from './server.ts';

/** A content as somebody sent it: each attempt is another one. */
export interface Letter {
  readonly name: string;
  readonly user: number;
  readonly whId: number;
  readonly bytes: number;
  /** Its signature is wrong: it need not become a content. */
  readonly forged: boolean;
}
interface Row {
  readonly letter: string;
  readonly user_id: number;
  readonly wh_id: number;
  /** When it became visible, or a little before, in true time. */
  readonly at: number;
}
interface Held {
  readonly token: number;
  readonly waiting: number;
  readonly due_ms: number;
  readonly promise: Promised | undefined;
}
/** Until then, in true time, a worker was promised a content; how far the lasting time was ahead when it was. */
interface Promised {
  readonly at: number;
  readonly until: number;
  readonly ahead: number;
}
interface LeaseRow {
  readonly consumer_id: number;
  readonly pos: number;
  readonly id: number;
  readonly token: number;
  readonly due_ms: number;
  readonly attempt: number;
  readonly waiting: number;
}
interface Consumer {
  readonly id: number;
  readonly user_id: number;
  readonly name: string;
  readonly whid: string | null;
  readonly ordered: number;
  readonly max_attempts: number;
  readonly lease_seconds: number;
  readonly start_pos: number;
  readonly cursor_pos: number;
  readonly created_ms: number;
}
interface Placed {
  readonly pos: number;
  readonly id: number;
  readonly user_id: number;
  readonly wh_id: number;
}

export interface LedgerOptions {
  /** 0: nothing goes by its age. */
  readonly retentionDays: number;
  readonly pruneForeign: boolean;
  /** So much younger a content may go: what retention follows of a clock that jumps. */
  readonly ageSlackMs: number;
  /** What one user may store, and how long it takes until that is counted; undefined: any. */
  readonly quotaBytes: number | undefined;
}
const DAY_MS = 86_400_000;

// Requests that came before the quota was used up, or before the first count.
const UNDER_WAY_BYTES = 1_000_000;
// The clocks are read in whole milliseconds.
const PRECISION_MS = 2;
// As in store/shared/clock.ts.
const FOLLOWED_MS = 2_000;
const RESTART_MS = 3_600_000;
// For so long, and a little more, a process that came in the wrong time believes it, when a second jump makes it look right again.
const LEARNING_MS = 15_000;
// As in receiver/writer.ts.
const MOST_ROWS = 500;
const MOST_BYTES = 4 * 1024 * 1024;
const LEASES = 'SELECT consumer_id, pos, id, token, due_ms, attempt, waiting FROM restante_lease';
const CONSUMERS = `SELECT id, user_id, name, whid, ordered, max_attempts, lease_seconds, start_pos, cursor_pos, created_ms FROM restante_consumer WHERE user_id <> 0`;

const nameIn = (content: unknown): string =>
  Buffer.isBuffer(content) ? (content.toString('latin1', 0, 40).split(' ', 1)[0] as string) : '';
const reads = ({ whid }: Consumer, whId: number): boolean =>
  whid === null || (JSON.parse(whid) as number[]).includes(whId);

export function createLedger(world: World, { retentionDays, pruneForeign, ageSlackMs, quotaBytes }: LedgerOptions) {
  const retentionMs = retentionDays * DAY_MS;
  let server: Server;
  const written = new Map<Transaction, string[]>();
  const onDisk = new Set<string>();
  const acked = new Map<string, Letter>();
  const denied = new Set<string>();
  /** Contents that there are now, by id. */
  const rows = new Map<number, Row>();
  /** How often a letter became a content, that is still there or not. */
  const copies = new Map<string, number>();
  const removed = new Set<string>();
  const wished = new Set<number>();
  const given = new Set<string>();
  const guards = new Map<object, { readonly name: string; readonly user: number; readonly passed: () => number }>();

  const held = new Map<string, Held>();
  /** Of each lease there ever was, by what its row says: a crash may bring a row back. */
  const promised = new Map<string, Promised>();
  const granted = new Map<string, Set<number>>();
  const told = new Set<string>();
  const grantedEver = new Set<string>();
  const toldEver = new Set<string>();
  /** By consumer and content: when the ack began that counted. */
  const done = new Map<string, number>();
  const recalled = new Map<number, number>();

  const consumers = () => server.committed<Consumer>(CONSUMERS);

  function appear(id: number, user_id: number, wh_id: number, letter: string): void {
    rows.set(id, { letter, user_id, wh_id, at: world.now() });
    const count = (copies.get(letter) ?? 0) + 1;
    copies.set(letter, count);
    if (count > 1) world.violation(`${letter} became a content ${count} times`);
    if (denied.has(letter)) world.violation(`${letter} was stored, and its sender was told that nothing was stored`);
    for (const { name, user, passed } of guards.values())
      if (user === user_id && id <= passed())
        world.violation(`${id} was committed after ${name} had passed ${passed()}`);
  }

  /** What consumers still want, before a transaction takes contents away. */
  let wanted:
    | { readonly leases: LeaseRow[]; readonly consumers: Consumer[]; readonly positions: Map<number, Placed> }
    | undefined;
  function disappear(id: number, row: Row, by: string): void {
    rows.delete(id);
    removed.add(row.letter);
    world.note(() => `${id} (${row.letter}) is removed by ${by}`);
    if (by === 'foreign' || wished.has(id)) return;
    if (retentionMs === 0) world.violation(`${id} was removed by ${by}, and nothing may be removed`);
    const age = world.now() - row.at;
    if (age + PRECISION_MS + ageSlackMs < retentionMs)
      world.violation(`${id} was removed by ${by} at the age of ${age.toFixed(0)} ms`);
    if (row.letter.startsWith('f') && !pruneForeign) world.violation(`${id}, which is not ours, was removed by ${by}`);
    const place = wanted?.positions.get(id);
    for (const consumer of wanted?.consumers ?? []) {
      if (consumer.user_id !== row.user_id || !reads(consumer, row.wh_id)) continue;
      if ((recalled.get(consumer.id) ?? Number.NEGATIVE_INFINITY) > world.now() - 15_000) continue;
      if (wanted?.leases.some((lease) => lease.consumer_id === consumer.id && lease.id === id))
        world.violation(`${id} was removed, and consumer ${consumer.name} has it`);
      if (place && place.pos > consumer.cursor_pos && place.pos > consumer.start_pos)
        world.violation(`${id} was removed before consumer ${consumer.name} had got it`);
    }
  }

  /**
   * How much earlier than promised a lease may end. Small steps of the clock are followed. A process that came while a jump ahead had
   * not been taken out takes it for time that has passed, as after a restart, unless it is an hour or more.
   */
  function earlier(promise: Promised, ahead: number): number {
    const step = ahead - promise.ahead;
    if (step <= FOLLOWED_MS) return Math.max(0, step);
    // Who has just come, and sees the clock jump twice, cannot tell what others take out from what is still to be taken out.
    const [, ...further] = server.jumpsAt;
    const puzzled = (jump: number) => server.cameAt.some((came) => came < jump && jump - came < LEARNING_MS);
    if (further.some(puzzled)) return step;
    const believed = server.cameWhileAhead.some(
      (one) =>
        (one.at > promise.at || (one.at > promise.at - LEARNING_MS && server.jumpedAt > promise.at)) &&
        one.ahead - promise.ahead < RESTART_MS &&
        step <= one.ahead - promise.ahead + FOLLOWED_MS,
    );
    return believed ? step : 0;
  }

  /** Compares the leases with what they were. `transaction`: undefined after a crash, which gives no lease. */
  function look(transaction: Transaction | undefined): void {
    const now = server.committed<LeaseRow>(LEASES);
    const all = new Map(consumers().map((one) => [one.id, one]));
    const keys = new Set<string>();
    for (const row of now) {
      const { consumer_id, pos, id, token, due_ms, attempt, waiting } = row;
      const key = `${consumer_id} ${pos}`;
      keys.add(key);
      const before = held.get(key);
      if (before && before.token === token && before.waiting === waiting && before.due_ms === due_ms) continue;
      const consumer = all.get(consumer_id);
      const name = `${key} ${token} ${due_ms}`;
      const { at, ahead } = transaction?.readAt ?? { at: world.now(), ahead: 0 };
      // By what the worker was told, in true time. When it ends in the database says nothing: that goes by a clock that may be set.
      if (transaction && consumer && waiting === 0)
        promised.set(name, { at, ahead, until: at + consumer.lease_seconds * 1_000 });
      held.set(key, { token, waiting, due_ms, promise: waiting === 0 ? promised.get(name) : undefined });
      if (!transaction || waiting !== 0 || before?.token === token || !consumer) continue;
      const left = before?.promise ? before.promise.until - at - earlier(before.promise, ahead) : 0;
      if (left > PRECISION_MS)
        world.violation(`${consumer.name}: ${pos} is handed out, and a worker has it for ${left.toFixed(0)} ms more`);
      if (attempt < 1 || attempt > consumer.max_attempts)
        world.violation(`${consumer.name}: ${pos} is handed out for the ${attempt}th time`);
      const ackedAt = done.get(`${consumer_id} ${id}`);
      if (ackedAt !== undefined && ackedAt > (recalled.get(consumer_id) ?? Number.NEGATIVE_INFINITY))
        world.violation(`${consumer.name}: ${pos} (${id}) is handed out again after its ack`);
      const first = now.find((one) => one.consumer_id === consumer_id && one.pos < pos && one.token !== token);
      if (consumer.ordered && first)
        world.violation(`${consumer.name}: ${pos} is handed out before ${first.pos} is done`);
      const lease = `${consumer_id} ${token}`;
      granted.set(lease, (granted.get(lease) ?? new Set()).add(pos));
      grantedEver.add(`${consumer_id} ${id}`);
    }
    for (const key of held.keys()) if (!keys.has(key)) held.delete(key);
  }

  const watcher: Watcher = {
    inserting(transaction, table, columns, all: Rows) {
      const at = columns.indexOf('content');
      const names = all.map((row) => nameIn(row[at]));
      written.set(transaction, [...(written.get(transaction) ?? []), ...names]);
      if (table !== 'tblwh' || transaction.by === 'foreign') return;
      const bytes = all.reduce((sum, row) => sum + (row[at] as Buffer).length, 0);
      if (all.length > MOST_ROWS) world.violation(`one INSERT has ${all.length} rows`);
      if (all.length > 1 && bytes > MOST_BYTES) world.violation(`one INSERT has ${bytes} bytes`);
    },
    removing() {
      wanted = {
        leases: server.committed(LEASES),
        consumers: consumers(),
        positions: new Map(
          server.committed<Placed>('SELECT pos, id, user_id, wh_id FROM restante_position').map((one) => [one.id, one]),
        ),
      };
    },
    committed(transaction) {
      if (transaction.placed.length > 0) {
        const ids = transaction.placed;
        const sql = `SELECT id, user_id, wh_id, CAST(SUBSTR(content, 1, 40) AS BLOB) AS content FROM tblwh WHERE id BETWEEN ? AND ?`;
        type Found = Omit<Row, 'letter' | 'at'> & { id: number; content: Buffer };
        const [low, high] = [ids[0] as number, ids.at(-1) as number];
        for (const { id, user_id, wh_id, content } of server.committed<Found>(sql, [low, high]))
          if (ids.includes(id)) appear(id, user_id, wh_id, nameIn(content));
      }
      if (transaction.removes) {
        const left = new Set(server.committed<{ id: number }>('SELECT id FROM tblwh').map(({ id }) => id));
        for (const [id, row] of [...rows]) if (!left.has(id)) disappear(id, row, transaction.by);
        wanted = undefined;
      }
      if (transaction.tables.has('restante_lease')) look(transaction);
    },
    durable(transaction) {
      for (const name of written.get(transaction) ?? []) onDisk.add(name);
      written.delete(transaction);
    },
    recovered() {
      const left = new Set(server.committed<{ id: number }>('SELECT id FROM tblwh').map(({ id }) => id));
      const still = waiting();
      for (const [id, row] of [...rows]) {
        if (left.has(id)) continue;
        rows.delete(id);
        copies.delete(row.letter);
        world.note(() => `${id} (${row.letter}) vanished`);
        // What a crash took with the COMMIT of its release waits again.
        if (acked.has(row.letter) && !still.has(row.letter))
          world.violation(`${row.letter} was acknowledged, and a crash took it`);
        if (given.has(row.letter)) world.violation(`${id} was given to a reader, and a crash took it`);
        for (const { name, user, passed } of guards.values())
          if (user === row.user_id && id <= passed())
            world.violation(`${id} vanished after ${name} had passed ${passed()}`);
      }
      look(undefined);
    },
  };

  /** Requests that are kept as refusals until their secret is set. */
  function waiting(): Set<string> {
    const sql = `SELECT CAST(SUBSTR(content, 1, 40) AS BLOB) AS content FROM restante_refusal
      WHERE content IS NOT NULL AND released_as IS NULL`;
    return new Set(server.committed<{ content: Buffer | null }>(sql).map(({ content }) => nameIn(content)));
  }

  return {
    watcher,
    /** A content that was there before. */
    old(id: number, letter: string, user_id: number, wh_id: number, at: number): void {
      rows.set(id, { letter, user_id, wh_id, at });
      onDisk.add(letter);
      copies.set(letter, 1);
    },
    watch(one: Server): void {
      server = one;
    },
    /** A sender got its 2xx. */
    acknowledged(letter: Letter): void {
      if (!onDisk.has(letter.name)) world.violation(`${letter.name} was acknowledged before it was on disk`);
      acked.set(letter.name, letter);
    },
    /** False when the user has used up the quota, and what may have been under way is stored, too. */
    mayStore({ user }: Letter): boolean {
      if (quotaBytes === undefined) return true;
      let sum = 0;
      for (const one of acked.values()) if (one.user === user) sum += one.bytes;
      return sum < quotaBytes + UNDER_WAY_BYTES;
    },
    /** A sender was told that nothing was stored. */
    denied(letter: Letter): void {
      if (onDisk.has(letter.name) || copies.has(letter.name))
        world.violation(`${letter.name} was stored, and its sender was told that nothing was stored`);
      denied.add(letter.name);
    },
    /** From now on nothing may appear, or vanish, for this user at or below what `passed` tells. */
    guard(name: string, user: number, passed: () => number): void {
      guards.set({}, { name, user, passed });
    },
    /** A reader or a worker was given these bytes. */
    given(id: number, content: Buffer, user: number): string {
      const letter = nameIn(content);
      if (!onDisk.has(letter)) world.violation(`${id} (${letter}) was given away before it was on disk`);
      const row = rows.get(id);
      if (row && row.letter !== letter) world.violation(`${id} is ${row.letter} and was given away as ${letter}`);
      if (row && row.user_id !== user) world.violation(`${id} of user ${row.user_id} was given to user ${user}`);
      given.add(letter);
      return letter;
    },
    /** A worker was given a lease. */
    leased(consumer: string, lease: string, ids: readonly number[]): void {
      const read = decodeLease(lease);
      if (!read) throw world.violation(`${consumer}: ${lease} is no lease`);
      const key = `${read.consumerId} ${read.token}`;
      if (told.has(key)) world.violation(`${consumer}: two workers were given the same lease`);
      told.add(key);
      for (const { pos, id } of read.positions) {
        if (!granted.get(key)?.has(pos))
          world.violation(`${consumer}: a worker was given ${pos}, which was not committed`);
        if (ids.includes(id)) toldEver.add(`${read.consumerId} ${id}`);
      }
    },
    /** An ack that began then counted for these. */
    done(lease: string, ids: readonly number[], began: number): void {
      const read = decodeLease(lease);
      for (const id of ids) done.set(`${read?.consumerId} ${id}`, began);
    },
    /** Contents of this consumer may be handed out again, whatever was acked before this moment. */
    recalled(consumer: string, user: number, until: number): void {
      for (const { id, name, user_id } of consumers())
        if (name === consumer && user_id === user) recalled.set(id, until);
    },
    wish(id: number): void {
      wished.add(id);
    },
    /** Contents of a user that there are now. */
    present: (user: number) =>
      [...rows].filter(([, row]) => row.user_id === user).map(([id, row]) => ({ id, letter: row.letter })),
    /** What keeps the world from ending well; '' when everything has come to pass. */
    unfinished(): string {
      const refused = waiting();
      for (const [name, { forged }] of acked) {
        if (forged) continue;
        if (refused.has(name)) return `${name} was acknowledged, and still waits for its verdict`;
        if (!copies.has(name)) world.violation(`${name} was acknowledged, and never became a content`);
      }
      const alive = new Set([...rows.values()].map(({ letter }) => letter));
      for (const [name, { forged }] of acked)
        if (!forged && !alive.has(name) && !removed.has(name)) world.violation(`${name} was acknowledged, and is gone`);
      const positions = new Map(
        server.committed<Placed>('SELECT pos, id, user_id, wh_id FROM restante_position').map((one) => [one.id, one]),
      );
      for (const id of rows.keys()) if (!positions.has(id)) return `${id} has no position`;
      const leases = server.committed<LeaseRow>(LEASES);
      const dead = new Set(
        server.committed<{ k: string }>("SELECT consumer_id || ' ' || id AS k FROM restante_dead").map(({ k }) => k),
      );
      for (const consumer of consumers()) {
        const out = leases.find((one) => one.consumer_id === consumer.id);
        if (out) return `${consumer.name} has not done with ${out.id}`;
        for (const [id, row] of rows) {
          const place = positions.get(id) as Placed;
          if (row.user_id !== consumer.user_id || !reads(consumer, row.wh_id) || place.pos <= consumer.start_pos)
            continue;
          if (place.pos > consumer.cursor_pos) return `${consumer.name} never came to ${id}`;
          const key = `${consumer.id} ${id}`;
          if (dead.has(key)) continue;
          if (!grantedEver.has(key)) world.violation(`${consumer.name} passed ${id} and never handed it out`);
          if (!toldEver.has(key)) world.violation(`${consumer.name} passed ${id}, and no worker was given it`);
        }
      }
      return '';
    },
  };
}

export type Ledger = ReturnType<typeof createLedger>;
