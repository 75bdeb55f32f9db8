// What is in hand: which contents of which lease are open, done or given back, and telling the server before it is too late.
import { RestanteError } from './error.ts';

export interface Named {
  readonly lease: string;
  readonly ids?: readonly number[];
}
/** The part of a consumer that leases need. */
export interface LeaseCalls {
  ack(body: Named): Promise<unknown>;
  nack(
    body: Named & { readonly delay_seconds?: number; readonly reason?: string; readonly dead?: boolean },
  ): Promise<unknown>;
  extend(body: Named & { readonly lease_seconds: number }): Promise<unknown>;
}

export interface Lease {
  readonly text: string;
  readonly size: number;
  /** Handed out and not settled yet. */
  readonly open: Set<number>;
  /** Worked through, not told yet. */
  readonly done: Set<number>;
  /** All that were acked here so far. */
  acked: number;
}

export interface Leases {
  add(text: string, ids: readonly number[]): Lease;
  done(lease: Lease, id: number): void;
  /** What a pull may ack on its way: one lease. `settled` is called with whether it went through. */
  take(): { readonly body: Named; settled(ok: boolean): void } | undefined;
  /** Acks all that is done. Rejects when the server cannot be reached: nothing is forgotten, the next call goes on. */
  flush(): Promise<void>;
  giveBack(
    lease: Lease,
    ids: readonly number[],
    how?: { readonly delay_seconds?: number; readonly reason?: string; readonly dead?: boolean },
  ): Promise<void>;
  /** Contents that are open get another `seconds`. */
  extend(seconds: number): Promise<void>;
  readonly inHand: number;
}

const MOST_IDS = 500;

export function createLeases(calls: LeaseCalls): Leases {
  const all = new Set<Lease>();
  const named = (lease: Lease, ids: readonly number[]): Named =>
    ids.length === lease.size ? { lease: lease.text } : { lease: lease.text, ids: ids.slice(0, MOST_IDS) };

  function take() {
    for (const lease of all) {
      if (lease.done.size === 0) continue;
      const ids = [...lease.done].slice(0, MOST_IDS);
      for (const id of ids) lease.done.delete(id);
      const settled = (ok: boolean) => {
        if (ok) lease.acked += ids.length;
        // To ack twice is right: the server knows what it has.
        else for (const id of ids) lease.done.add(id);
        if (lease.open.size + lease.done.size === 0) all.delete(lease);
      };
      return { body: named(lease, ids), settled };
    }
    return undefined;
  }

  return {
    add(text, ids) {
      const lease: Lease = { text, size: ids.length, open: new Set(ids), done: new Set(), acked: 0 };
      all.add(lease);
      return lease;
    },
    done(lease, id) {
      if (lease.open.delete(id)) lease.done.add(id);
    },
    take,
    async flush() {
      for (let one = take(); one; one = take()) {
        const { body, settled } = one;
        await calls.ack(body).then(
          () => settled(true),
          (error: unknown) => {
            // 409: some had been leased to another worker meanwhile; the rest is done, and to repeat it would change nothing.
            const over = error instanceof RestanteError && !error.temporary;
            settled(over);
            if (!over || error.status !== 409) throw error;
          },
        );
      }
    },
    async giveBack(lease, ids, how = {}) {
      const mine = ids.filter((id) => lease.open.delete(id));
      if (lease.open.size + lease.done.size === 0) all.delete(lease);
      if (mine.length === 0) return;
      await calls.nack({ ...named(lease, mine), ...how }).catch((error: unknown) => {
        // It comes again by itself when its lease ends.
        if (!(error instanceof RestanteError)) throw error;
      });
    },
    async extend(seconds) {
      for (const lease of all) {
        if (lease.open.size === 0) continue;
        const ids = [...lease.open].slice(0, MOST_IDS);
        await calls.extend({ ...named(lease, ids), lease_seconds: seconds }).catch((error: unknown) => {
          if (!(error instanceof RestanteError)) throw error;
        });
      }
    },
    get inHand() {
      let count = 0;
      for (const lease of all) count += lease.open.size;
      return count;
    },
  };
}
