// The contents in hand: which of each lease are open, done or given back; tells the server before the lease ends.
import type { Api } from './index.ts';
import { RestanteError } from './transport.ts';

export interface Named {
  readonly lease: string;
  readonly ids?: readonly number[];
}
export interface GivenBack {
  readonly delay_seconds?: number;
  readonly reason?: string;
  readonly dead?: boolean;
  /** No work on them has begun: this does not count as an attempt. */
  readonly untried?: boolean;
}
/** The part of a consumer that leases need. */
type LeaseCalls = Pick<ReturnType<Api['consumer']>, 'ack' | 'nack' | 'extend'>;

export interface Lease {
  readonly text: string;
  readonly size: number;
  /** Handed out, ours still, and not settled yet. */
  readonly open: Set<number>;
  /** Worked through, not told yet. */
  readonly done: Set<number>;
}

const MOST_IDS = 500;
// These calls are small and can be repeated: a dead connection must not hold them up for long.
const LIMIT = { timeoutMs: 10_000 };

/** 409: the server says of each id how it stands, and to repeat the call would change nothing. */
const conflictsOf = (error: unknown): readonly { readonly id: number }[] => {
  if (!(error instanceof RestanteError) || error.status !== 409) throw error;
  return (error.problem.conflicts as { id: number }[] | undefined) ?? [];
};

export function createLeases(calls: LeaseCalls) {
  const all = new Set<Lease>();
  const named = (lease: Lease, ids: readonly number[]): Named =>
    ids.length === lease.size ? { lease: lease.text } : { lease: lease.text, ids };
  const tidy = (lease: Lease) => {
    if (lease.open.size + lease.done.size === 0) all.delete(lease);
  };

  /** One lease that the next pull may ack. The caller says by `settled` whether the ack went through. */
  function take() {
    for (const lease of all) {
      if (lease.done.size === 0) continue;
      const ids = [...lease.done].slice(0, MOST_IDS);
      for (const id of ids) lease.done.delete(id);
      const settled = (ok: boolean) => {
        // It may have been acked all the same; a second ack does no harm.
        if (!ok) for (const id of ids) lease.done.add(id);
        tidy(lease);
      };
      return { body: named(lease, ids), settled };
    }
    return undefined;
  }

  return {
    add(text: string, ids: readonly number[]): Lease {
      const lease: Lease = { text, size: ids.length, open: new Set(ids), done: new Set() };
      all.add(lease);
      return lease;
    },
    done(lease: Lease, id: number): void {
      if (lease.open.delete(id)) lease.done.add(id);
    },
    take,
    /** Acks all that is done. Rejects when the server cannot be reached: nothing is forgotten, the next call goes on. */
    async flush(): Promise<void> {
      for (let one = take(); one; one = take()) {
        const { body, settled } = one;
        try {
          await calls.ack(body, LIMIT).catch(conflictsOf);
        } catch (error) {
          settled(false);
          throw error;
        }
        settled(true);
      }
    },
    /** Rejects likewise. */
    async giveBack(lease: Lease, ids: readonly number[], how: GivenBack = {}): Promise<void> {
      const mine = ids.filter((id) => lease.open.has(id));
      if (mine.length === 0) return;
      await calls.nack({ ...named(lease, mine), ...how }, LIMIT).catch((error: unknown) => {
        // After any lasting error the content comes again by itself when its lease ends.
        if (!(error instanceof RestanteError) || error.temporary) throw error;
      });
      for (const id of mine) lease.open.delete(id);
      tidy(lease);
    },
    /** Gives open contents another `seconds`, of one lease or of all; those that are not ours any more are closed. False: none was open. */
    async extend(seconds: number, only?: Lease): Promise<boolean> {
      let asked = false;
      for (const lease of only ? [only] : all) {
        if (lease.open.size === 0) continue;
        asked = true;
        const body = { ...named(lease, [...lease.open]), lease_seconds: seconds };
        const lost = await calls.extend(body, LIMIT).then(() => [], conflictsOf);
        for (const { id } of lost) lease.open.delete(id);
        tidy(lease);
      }
      return asked;
    },
    /** Whether a content is done whose ack is neither sent nor on its way. */
    get untold(): boolean {
      return [...all].some(({ done }) => done.size > 0);
    },
  };
}
