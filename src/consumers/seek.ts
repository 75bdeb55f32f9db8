// Handing out again: dead letters, contents that were acked, everything from a position on.
import { headOf, lastIdAt, positionBeforeId, positionBeforeTime } from '../store/backlog.ts';
import type { Locked } from '../store/consumers.ts';
import type { Db } from '../store/db.ts';
import type { Change, LeaseRows } from '../store/leases.ts';
import { type Conflict, type Done, posOf, sooner } from './leases.ts';

/** The position before the first content to be handed out, and the user's last content up to it. */
interface Target {
  readonly pos: number;
  readonly id: number;
}

/** Moves the cursor. Leases are dropped, and so are the dead letters that will be handed out anew. */
export async function seek(rows: LeaseRows, { consumer }: Locked, { pos, id }: Target): Promise<Change<void>> {
  const forgotten = await rows.forget(pos + 1);
  const moved = { start_pos: pos, cursor_pos: pos, cursor_id: id, next_due_ms: 0, gap: null };
  return { consumer: { ...consumer, ...moved, dead: consumer.dead - forgotten }, result: undefined };
}

/** Dead letters wait again, with all their attempts before them. `ids` undefined: the first `most` of all. */
export async function reviveDead(
  rows: LeaseRows,
  { consumer, now }: Locked,
  ids: readonly number[] | undefined,
  most: number,
): Promise<Change<Done>> {
  const letters = await rows.deadPositions(ids ?? null, most);
  const found = new Set(letters.map(({ id }) => id));
  const conflicts = [...new Set(ids)].filter((id) => !found.has(id)).map((id) => ({ id, reason: 'not-dead' as const }));
  const result = { done: [...found], conflicts };
  if (letters.length === 0) return { consumer, result };
  await rows.revive(letters.map(posOf), now);
  const dead = consumer.dead - letters.length;
  return { consumer: { ...consumer, dead, next_due_ms: sooner(consumer.next_due_ms, now) }, result };
}

/** Contents are handed out again, though they were acked, given back or given up; those ahead of the cursor come anyway. */
export async function redeliver(
  rows: LeaseRows,
  { consumer, now }: Locked,
  ids: readonly number[],
): Promise<Change<Done>> {
  const wanted = [...new Set(ids)];
  const found = new Map((await rows.positionsOf(wanted)).map((one) => [one.id, one]));
  const positions = [...found.values()].map(posOf);
  const out = new Map((await rows.at(positions)).map((row) => [row.pos, row]));
  const dead = new Set(await rows.dead(positions));
  const done: number[] = [];
  const conflicts: Conflict[] = [];
  const again: number[] = [];
  for (const id of wanted) {
    const one = found.get(id);
    const row = one && out.get(one.pos);
    const reads = one && (!consumer.whids || consumer.whids.includes(one.wh_id) || row || dead.has(one.pos));
    if (!reads) conflicts.push({ id, reason: 'not-found' });
    else if (row && !row.waiting && row.due_ms > now) conflicts.push({ id, reason: 'in-hand' });
    else {
      done.push(id);
      if (one.pos <= consumer.cursor_pos && !dead.has(one.pos)) again.push(one.pos);
    }
  }
  const buried = positions.filter((pos) => dead.has(pos));
  await rows.revive(buried, now);
  await rows.put(again, now);
  const result = { done, conflicts };
  if (buried.length + again.length === 0) return { consumer, result };
  return {
    consumer: { ...consumer, dead: consumer.dead - buried.length, next_due_ms: sooner(consumer.next_due_ms, now) },
    result,
  };
}

// Where a consumer begins, or is moved to: the start that a call names becomes a position.

export type Start = 'earliest' | 'latest' | { readonly id: number } | { readonly time: number };

async function positionOf(db: Db, start: Start): Promise<number> {
  if (start === 'earliest') return 0;
  if (start === 'latest') return headOf(db);
  return 'id' in start ? positionBeforeId(db, start.id) : positionBeforeTime(db, start.time);
}

/** Positions never change: the target may be found before the consumer is locked. */
export async function findTarget(db: Db, userId: number, start: Start): Promise<Target> {
  const pos = await positionOf(db, start);
  return { pos, id: pos === 0 ? 0 : await lastIdAt(db, userId, pos) };
}
