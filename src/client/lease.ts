// What is in hand: which contents of which lease are open, done or given back, and telling the server before it is too late.
import type { CallOptions } from './transport.ts';
import { RestanteError } from './transport.ts';

export interface Named {
  readonly lease: string;
  readonly ids?: readonly number[];
}
export interface GivenBack {
  readonly delay_seconds?: number;
  readonly reason?: string;
  readonly dead?: boolean;
  /** Nobody has begun with them: this was no attempt. */
  readonly untried?: boolean;
}
/** The part of a consumer that leases need. */
export interface LeaseCalls {
  ack(body: Named, more: CallOptions): Promise<unknown>;
  nack(body: Named & GivenBack, more: CallOptions): Promise<unknown>;
  extend(body: Named & { readonly lease_seconds: number }, more: CallOptions): Promise<unknown>;
}

export interface Lease {
  readonly text: string;
  readonly size: number;
  /** Handed out, ours still, and not settled yet. */
  readonly open: Set<number>;
  /** Worked through, not told yet. */
  readonly done: Set<number>;
}

export interface Leases {
  add(text: string, ids: readonly number[]): Lease;
  done(lease: Lease, id: number): void;
  /** What a pull may ack on its way: one lease. `settled` is called with whether it went through. */
  take(): { readonly body: Named; settled(ok: boolean): void } | undefined;
  /** Acks all that is done. Rejects when the server cannot be reached: nothing is forgotten, the next call goes on. */
  flush(): Promise<void>;
  /** Whether anything is done that the server has not been told, nor is being told. */
  readonly untold: boolean;
  /** Rejects likewise. */
  giveBack(lease: Lease, ids: readonly number[], how?: GivenBack): Promise<void>;
  /** What is open gets another `seconds`, of one lease or of all; what is not ours any more is no longer open. False: there was nothing. */
  extend(seconds: number, only?: Lease): Promise<boolean>;
}

const MOST_IDS = 500;
// They are small, and another try costs nothing: a connection that died without a word must not hold them up.
const LIMIT = { timeoutMs: 10_000 };

/** 409: the server says of each id how it stands, and to repeat the call would change nothing. */
const conflictsOf = (error: unknown): readonly { readonly id: number }[] => {
  if (!(error instanceof RestanteError) || error.status !== 409) throw error;
  return (error.problem.conflicts as { id: number }[] | undefined) ?? [];
};

export function createLeases(calls: LeaseCalls): Leases {
  const all = new Set<Lease>();
  const named = (lease: Lease, ids: readonly number[]): Named =>
    ids.length === lease.size ? { lease: lease.text } : { lease: lease.text, ids };
  const tidy = (lease: Lease) => {
    if (lease.open.size + lease.done.size === 0) all.delete(lease);
  };

  function take() {
    for (const lease of all) {
      if (lease.done.size === 0) continue;
      const ids = [...lease.done].slice(0, MOST_IDS);
      for (const id of ids) lease.done.delete(id);
      const settled = (ok: boolean) => {
        // To ack twice is right: the server knows what it has.
        if (!ok) for (const id of ids) lease.done.add(id);
        tidy(lease);
      };
      return { body: named(lease, ids), settled };
    }
    return undefined;
  }

  return {
    add(text, ids) {
      const lease: Lease = { text, size: ids.length, open: new Set(ids), done: new Set() };
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
        try {
          await calls.ack(body, LIMIT).catch(conflictsOf);
        } catch (error) {
          settled(false);
          throw error;
        }
        settled(true);
      }
    },
    async giveBack(lease, ids, how = {}) {
      const mine = ids.filter((id) => lease.open.has(id));
      if (mine.length === 0) return;
      await calls.nack({ ...named(lease, mine), ...how }, LIMIT).catch((error: unknown) => {
        // Whatever else is wrong with it: it comes again by itself when its lease ends.
        if (!(error instanceof RestanteError) || error.temporary) throw error;
      });
      for (const id of mine) lease.open.delete(id);
      tidy(lease);
    },
    async extend(seconds, only) {
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
    get untold() {
      return [...all].some(({ done }) => done.size > 0);
    },
  };
}
