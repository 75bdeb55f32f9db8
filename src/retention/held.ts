// What retention does not remove before a person has confirmed it: what only a jump of the clock, or new settings, made old.
//
// Usual is what has become old while some process of Restante was there: that goes by itself. A clock that jumped ahead, an
// installation that was switched off for long, and a copy of the database that was restored look the same from here. In all of them
// the clock stands ahead of the time that was lived through (clock.ts). Up to a tenth of the days that a rule has, that makes little
// difference. Beyond that, retention goes on by the time that was lived through. Shorter RETENTION_DAYS, and PRUNE_FOREIGN where it
// was off, are not followed before they are confirmed, either, where something would go by them. The days that a webhook has of its
// own are its owner's word: they count at once.

import type { Db } from '../store/db.ts';
import {
  countUnder,
  endFuture,
  MOST_WAITING,
  type Policy,
  positionBeforeDays,
  readPolicies,
  readRules,
  savePolicy,
} from '../store/retention.ts';
import { acceptClock, doubtOf, type Reading, readClock } from '../store/shared/clock.ts';

const DAY_MS = 86_400_000;
// A weekend without power does not call for a person where contents are kept for a month.
const MOST_DOUBT_MS = 3 * DAY_MS;

/** The moment up to which the age of contents counts for a rule of so many days. */
export function countableNow(clock: Reading, days: number): number {
  const doubt = doubtOf(clock);
  return doubt <= Math.min(MOST_DOUBT_MS, (days * DAY_MS) / 10) ? clock.wall : clock.wall - doubt;
}

const isStricter = (wanted: Policy, agreed: Policy): boolean =>
  (wanted.days > 0 && (agreed.days === 0 || wanted.days < agreed.days)) || (wanted.foreign && !agreed.foreign);

/** What retention goes by now: what is wanted, unless that would remove more than before, and nobody has confirmed it. */
export async function agreedPolicy(db: Db, wanted: Policy): Promise<Policy> {
  const { agreed } = await readPolicies(db);
  return !agreed || !isStricter(wanted, agreed) || (await countNew(db, wanted, agreed)) === 0 ? wanted : agreed;
}

/** The same for a service, whose settings are what a person confirms; kept, so that the next ones are compared with these. */
export async function keptPolicy(db: Db, wanted: Policy): Promise<Policy> {
  const agreed = await agreedPolicy(db, wanted);
  await savePolicy(db, 'wanted', wanted);
  await savePolicy(db, 'agreed', agreed);
  return agreed;
}

/** A person says that the clock is right, and that the settings are meant: those given, or those of the service. */
export async function confirm(db: Db, given: Policy | undefined): Promise<Policy | undefined> {
  await acceptClock(db);
  await endFuture(db, (await readClock(db)).wall);
  const meant = given ?? (await readPolicies(db)).wanted;
  if (meant) await savePolicy(db, 'agreed', meant);
  return meant;
}

/** How many contents would go by one policy, and not by the other one. */
async function countNew(db: Db, wanted: Policy, agreed: Policy): Promise<number> {
  const clock = await readClock(db);
  const before = (days: number) => positionBeforeDays(db, days, countableNow(clock, days));
  const [rule] = await readRules(db, wanted.days);
  if (rule?.which !== 'but') return 0;
  // With rows of other writers all that is old counts, for some of it may be theirs.
  const from = agreed.days === 0 || (wanted.foreign && !agreed.foreign) ? 0 : await before(agreed.days);
  return countUnder(db, rule, from, await before(wanted.days));
}

export interface Held {
  /** Up to MOST_WAITING. */
  readonly contents: number;
  readonly why: 'clock' | 'settings';
  /** A sentence for a person. */
  readonly text: string;
}

/** What waits for a person; undefined when nothing does. Changes nothing. */
export async function heldBack(db: Db, wanted: Policy, agreed: Policy): Promise<Held | undefined> {
  const clock = await readClock(db);
  let contents = 0;
  for (const rule of await readRules(db, agreed.days)) {
    const { days } = rule;
    const now = countableNow(clock, days);
    if (now === clock.wall) continue;
    const [from, to] = [await positionBeforeDays(db, days, now), await positionBeforeDays(db, days, clock.wall)];
    contents += await countUnder(db, rule, from, to);
  }
  if (contents > 0) {
    const ahead = spanOf(doubtOf(clock));
    const text = `the clock of the database stands ${ahead} ahead of the time in which Restante was running: nothing ran for so long, or the clock is wrong. ${tellCount(contents)} would be removed by that clock, and are kept. If the clock is right: restante prune --confirm`;
    return { contents, why: 'clock', text };
  }
  if (!isStricter(wanted, agreed)) return undefined;
  contents = await countNew(db, wanted, agreed);
  if (contents === 0) return undefined;
  const text = `${tellPolicy(wanted)} is set, and before it was ${tellPolicy(agreed)}: ${tellCount(contents)} that this would remove at once are kept. If that is meant: restante prune --confirm`;
  return { contents, why: 'settings', text };
}

/** The same for those who do not know what the service was started with. */
export async function heldNow(db: Db, { days, foreign }: Policy): Promise<Held | undefined> {
  const { agreed = { days, foreign }, wanted = agreed } = await readPolicies(db);
  return heldBack(db, wanted, agreed);
}

const tellPolicy = ({ days, foreign }: Policy): string =>
  `RETENTION_DAYS=${days}${foreign ? ' with PRUNE_FOREIGN=1' : ''}`;
const tellCount = (contents: number): string =>
  contents >= MOST_WAITING ? `more than ${MOST_WAITING} contents` : `${contents} contents`;
const spanOf = (ms: number): string =>
  ms >= 2 * DAY_MS ? `${Math.round(ms / DAY_MS)} days` : `${Math.round(ms / 3_600_000)} hours`;
