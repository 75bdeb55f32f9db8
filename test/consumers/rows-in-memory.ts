// The rows of a consumer in memory: what the rules of leases see of a database, for tests by the thousand.
import type { ConsumerRow } from '../../src/store/consumers.ts';
import type { LeaseRow, LeaseRows } from '../../src/store/leases.ts';

export interface FakePosition {
  readonly pos: number;
  readonly id: number;
  readonly wh_id: number;
}
export interface FakeTables {
  readonly positions: FakePosition[];
  readonly leases: Map<number, LeaseRow & { reason: string | null }>;
  readonly dead: Map<number, { pos: number; id: number; attempt: number; reason: string }>;
}

export const fakeTables = (): FakeTables => ({ positions: [], leases: new Map(), dead: new Map() });

export function fakeRows({ positions, leases, dead }: FakeTables, consumer: ConsumerRow): LeaseRows {
  const byPos = <T extends { readonly pos: number }>(rows: Iterable<T>) => [...rows].sort((a, b) => a.pos - b.pos);
  const sorted = () => byPos(leases.values()).map((row) => ({ ...row }));
  const change = (all: readonly number[], to: (row: LeaseRow & { reason: string | null }) => object) => {
    for (const pos of all) {
      const row = leases.get(pos);
      if (row) leases.set(pos, { ...row, ...to(row) });
    }
  };
  const reads = ({ wh_id }: FakePosition) => !consumer.whids || consumer.whids.includes(wh_id);
  return {
    due: async (now, limit) =>
      sorted()
        .filter(({ due_ms }) => due_ms <= now)
        .slice(0, limit),
    lowest: async (after, limit) =>
      sorted()
        .filter(({ pos }) => pos > after)
        .slice(0, limit),
    heldUntil: async (now) =>
      Math.max(
        0,
        ...sorted()
          .filter(({ waiting, due_ms }) => !waiting && due_ms > now)
          .map(({ due_ms }) => due_ms),
      ),
    at: async (all) => sorted().filter(({ pos }) => all.includes(pos)),
    ofLease: async (token, from) => sorted().filter((row) => row.token === token && !row.waiting && row.pos >= from),
    nextDue: async () => (leases.size === 0 ? 0 : Math.min(...sorted().map(({ due_ms }) => due_ms))),
    async fresh(head, limit) {
      const next = positions.filter((row) => reads(row) && row.pos > consumer.cursor_pos).slice(0, limit);
      return {
        positions: next,
        upTo: next.length === limit ? (next.at(-1)?.pos ?? 0) : Math.max(consumer.cursor_pos, head),
      };
    },
    async handOut(after, upTo, { token, due }) {
      for (const row of positions)
        if (reads(row) && row.pos > after && row.pos <= upTo) {
          if (leases.has(row.pos)) throw new Error(`duplicate key ${row.pos}`);
          leases.set(row.pos, {
            pos: row.pos,
            id: row.id,
            token,
            due_ms: due,
            attempt: 1,
            waiting: false,
            reason: null,
          });
        }
    },
    handAgain: async (all, { token, due }, counts) =>
      change(all, ({ attempt }) => ({ token, due_ms: due, waiting: false, attempt: attempt + (counts ? 1 : 0) })),
    async removeRange(token, from, to) {
      const mine = sorted().filter((row) => row.token === token && row.pos >= from && row.pos <= to);
      for (const { pos } of mine) leases.delete(pos);
      return mine.length;
    },
    async remove(token, all) {
      const mine = all.filter((pos) => leases.get(pos)?.token === token);
      for (const pos of mine) leases.delete(pos);
      return mine.length;
    },
    async removeDue(now, all) {
      const due = all.filter((pos) => (leases.get(pos)?.due_ms ?? now + 1) <= now);
      for (const pos of due) leases.delete(pos);
      return due.length;
    },
    giveBack: async (all, { due, refund, reason, token }) =>
      change(all, (row) => ({
        waiting: true,
        due_ms: due,
        attempt: row.attempt - refund,
        reason: reason === undefined ? row.reason : reason,
        token: token ?? row.token,
      })),
    extend: async (all, due) => change(all, () => ({ due_ms: due })),
    async bury(all, reason, otherwise) {
      for (const pos of all) {
        const row = leases.get(pos);
        if (!row) continue;
        if (dead.has(pos)) throw new Error(`duplicate key ${pos}`);
        dead.set(pos, { pos, id: row.id, attempt: row.attempt, reason: reason ?? row.reason ?? otherwise });
        leases.delete(pos);
      }
    },
    dead: async (all) => all.filter((pos) => dead.has(pos)),
    deadPositions: async (ids, limit) =>
      byPos(dead.values())
        .filter(({ id }) => !ids || ids.includes(id))
        .slice(0, ids ? undefined : limit),
    async revive(all, now) {
      for (const pos of all) {
        const row = dead.get(pos);
        if (!row) continue;
        if (leases.has(pos)) throw new Error(`duplicate key ${pos}`);
        leases.set(pos, { pos, id: row.id, token: 0, due_ms: now, attempt: 0, waiting: true, reason: null });
        dead.delete(pos);
      }
    },
    async put(all, now) {
      for (const row of positions)
        if (all.includes(row.pos))
          leases.set(row.pos, {
            pos: row.pos,
            id: row.id,
            token: 0,
            due_ms: now,
            attempt: 0,
            waiting: true,
            reason: null,
          });
    },
    async forget(deadFrom) {
      leases.clear();
      const gone = [...dead.keys()].filter((pos) => pos >= deadFrom);
      for (const pos of gone) dead.delete(pos);
      return gone.length;
    },
    positionsOf: async (ids) => positions.filter(({ id }) => ids.includes(id)),
  };
}
