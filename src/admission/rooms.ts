// A room holds one resource for all users: it knows who has how much of it, and lets nobody have more than a share.
import type { Problem } from '../errors.ts';
import { HELD, type Limits, type Resource } from './resources.ts';

/** Who has something: a user by id, or an address. */
type Holder = number | string;

/** Whose something is: of a webhook, or with `wh_id` 0 of the user alone. */
export interface Owner {
  readonly user_id: number;
  readonly wh_id: number;
}

/** The lane of a webhook: its senders wait for one another and not for others. A user's own contents have a lane, too. */
export const laneOf = ({ wh_id, user_id }: Owner): number => wh_id || -user_id;

export interface Room {
  /**
   * Takes some, within the share of its holder. False: there is too little left, and nothing was taken. `lane`: the webhook it is
   * for, which may have three quarters of its user's share.
   */
  take(holder: Holder, amount: number, lane?: number): boolean;
  /** Takes some that cannot be refused any more, and counts it. */
  put(holder: Holder, amount: number, lane?: number): void;
  give(holder: Holder, amount: number, lane?: number): void;
  /** True when a holder has more than a share, or a lane of it: after `put`. */
  isOver(holder: Holder, lane?: number): boolean;
  /** Counts a refusal; returns what its caller is told. */
  refuse(): Problem;
  of(holder: Holder): number;
  readonly held: number;
  readonly most: number;
}

export type Rooms = Readonly<Record<keyof typeof HELD, Room>>;

// Of what the others leave, one may have half. However many take all they may, the next one still gets something.
const SHARE = 0.5;
// Of that, one webhook: the other webhooks of the same user still get something.
const LANE_SHARE = 0.75;
// When a room of memory is full, it changes within seconds.
const SOON_S = 2;

interface Held {
  amount: number;
  /** By webhook; made when a lane is named. */
  lanes: Map<number, number> | undefined;
}

/** `most`: how much there is; `each`: the most of one holder. `onRefused` is called for each refusal. */
export function createRoom(
  most: number,
  {
    each = most,
    refusal,
    onRefused = () => {},
  }: { readonly each?: number; readonly refusal: Resource['refusal']; readonly onRefused?: () => void },
): Room {
  const holders = new Map<Holder, Held>();
  let all = 0;

  const shareOf = (amount: number): number => Math.min(each, (most - all + amount) * SHARE);

  function add(holder: Holder, amount: number, lane: number | undefined): void {
    const mine = holders.get(holder) ?? { amount: 0, lanes: undefined };
    if (mine.amount === 0) holders.set(holder, mine);
    all += amount;
    mine.amount += amount;
    if (lane !== undefined) {
      mine.lanes ??= new Map();
      const sum = (mine.lanes.get(lane) ?? 0) + amount;
      if (sum > 0) mine.lanes.set(lane, sum);
      else mine.lanes.delete(lane);
    }
    if (mine.amount <= 0) holders.delete(holder);
  }

  return {
    take(holder, amount, lane) {
      const mine = holders.get(holder);
      const before = mine?.amount ?? 0;
      const share = shareOf(before);
      if (before + amount > share) return false;
      if (lane !== undefined && (mine?.lanes?.get(lane) ?? 0) + amount > share * LANE_SHARE) return false;
      add(holder, amount, lane);
      return true;
    },
    put: add,
    give: (holder, amount, lane) => add(holder, -amount, lane),
    isOver(holder, lane) {
      const mine = holders.get(holder);
      if (!mine) return false;
      const share = shareOf(mine.amount);
      return mine.amount > share || (lane !== undefined && (mine.lanes?.get(lane) ?? 0) > share * LANE_SHARE);
    },
    refuse() {
      onRefused();
      return refusal(each, SOON_S);
    },
    of: (holder) => holders.get(holder)?.amount ?? 0,
    get held() {
      return all;
    },
    most,
  };
}

/** A room of each resource that this process holds. `onRefused` is told the name of a room that refused. */
export function createRooms({ config, memoryBytes }: Limits, onRefused: (name: keyof Rooms) => void): Rooms {
  const room = (name: keyof Rooms, { all, each, refusal }: Resource): [string, Room] => [
    name,
    createRoom(all(memoryBytes), { each: each(config), refusal, onRefused: () => onRefused(name) }),
  ];
  return Object.fromEntries(
    (Object.entries(HELD) as [keyof Rooms, Resource][]).map(([name, row]) => room(name, row)),
  ) as unknown as Rooms;
}
