// Where a consumer begins, or is moved to: the words and numbers of a call become a position.
import type { Db } from '../store/db.ts';
import { headOf, lastIdAt, positionBeforeId, positionBeforeTime } from '../store/places.ts';
import type { Target } from './resend.ts';

export type Start = 'earliest' | 'latest' | { readonly id: number } | { readonly time: number };

async function positionOf(db: Db, start: Start): Promise<number> {
  if (start === 'earliest') return 0;
  if (start === 'latest') return headOf(db);
  return 'id' in start ? positionBeforeId(db, start.id) : positionBeforeTime(db, start.time);
}

/** The position before the first content to be handed out. Positions never change: it may be found before anything is locked. */
export async function findTarget(db: Db, userId: number, start: Start): Promise<Target> {
  const pos = await positionOf(db, start);
  return { pos, id: pos === 0 ? 0 : await lastIdAt(db, userId, pos) };
}
