// How many connections all pools may have together: who may take one now, and what is done when the server gives no more.
//
// A pool has a share, the most that it may use at once; the shares may add up to more than there are connections. Those who wait
// are served in their order, each as soon as its share and the whole allow it: a pool that is used up delays no other pool.
// When the server refuses a connection because there are too many, others use the rest: until it is tried again, we make do with
// what we have, and what is idle in one pool is given up for another.
//
// What must always hold: nobody waits for a second connection while holding one, or two could wait for each other for ever.

/** The connections of a process: as many as are worth having, unless it is told how many, or the account may have fewer. */
export const CONNECTIONS = 21;
// After so long a connection more than the server gave is tried again.
const LEARN_AGAIN_MS = 5_000;

/** What one pool may use at once, and uses. */
export interface Share {
  most: number;
  used: number;
}

export function createBudget(now = () => performance.now()) {
  let most = CONNECTIONS;
  // By their share, and in their order.
  const lines = new Map<Share, Map<number, () => void>>();
  let used = 0;
  let asked = 0;
  let given = most;
  let givenUntil = 0;
  const allowed = (): number => (now() < givenUntil ? given : most);

  function next(): void {
    while (used < allowed()) {
      let first: { share: Share; turn: number; go: () => void } | undefined;
      for (const [share, line] of lines) {
        const [entry] = line;
        if (entry && share.used < share.most && (!first || entry[0] < first.turn))
          first = { share, turn: entry[0], go: entry[1] };
      }
      if (!first) return;
      lines.get(first.share)?.delete(first.turn);
      first.share.used++;
      used++;
      first.go();
    }
  }

  return {
    /** Resolves when a connection of this share may be used; `give` it back. */
    take: (share: Share): Promise<void> =>
      new Promise((go) => {
        const line = lines.get(share) ?? new Map<number, () => void>();
        lines.set(share, line.set(asked++, go));
        next();
      }),
    give(share: Share): void {
      share.used--;
      used--;
      next();
    },
    /** The server gave no more than so many. */
    lower(open: number): void {
      given = Math.max(1, Math.min(open, most));
      givenUntil = now() + LEARN_AGAIN_MS;
      // Nobody may be left behind when the limit is over and nothing is given back meanwhile.
      setTimeout(next, LEARN_AGAIN_MS + 1).unref();
    },
    /** The server gives no more than it did. */
    full: (): boolean => now() < givenUntil,
    /** At most so many from now on. */
    limit(connections: number): void {
      most = connections;
      next();
    },
    /** How many may be open now. */
    allowed,
    /** How many wait for a turn, but for those of these shares. */
    waiting(...but: readonly Share[]): number {
      let waiting = 0;
      for (const [share, line] of lines) if (!but.includes(share)) waiting += line.size;
      return waiting;
    },
  };
}

// With fewer, all transactions share one pool: it costs less to wait than to open a connection for each kind of work.
const FEW = 10;

/** `writer`: undefined where it shares the connections of the other transactions. `kill`: to end statements, when all others are busy. */
export interface Shares {
  readonly reads: number;
  readonly searches: number;
  readonly writer: number | undefined;
  readonly others: number;
  readonly kill: number;
}

export function sharesOf(most: number): Shares {
  if (most < FEW) {
    const reads = Math.max(1, Math.floor(most / 2));
    return { reads, searches: 1, writer: undefined, others: Math.max(1, most - reads), kill: 1 };
  }
  // A search takes all that a connection of the server has, and must not take the place of lists and sign-ins. The writer has two
  // transactions in flight: while one waits for its flush the other is being filled. Three or four were slower.
  const rest = most - 5;
  return { reads: Math.ceil(rest / 2), searches: 2, writer: 2, others: Math.floor(rest / 2), kill: 1 };
}
