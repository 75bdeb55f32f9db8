// Programs that are known to be wrong, each in one way. The worlds are worth something only while they catch them all.
import { type Db, failed, type Transaction as Queries, type Value } from '../../../src/store/db.ts';
import { caught } from '../hold.ts';
import { Violation } from '../world.ts';
import type { Wrong } from './program.ts';
import { simulateProgram, type Weather } from './simulate.ts';

interface Design {
  readonly wrong: Wrong;
  /** The weather in which it shows. */
  readonly weather?: Partial<Weather>;
  /** Its worlds take seconds. */
  readonly slow?: boolean;
}

/** The same database, with other statements in its transactions. */
const within = (change: (queries: Queries, db: Db) => Partial<Queries>): Wrong => ({
  db: (db) => ({
    ...db,
    transaction: (work, who) => db.transaction((queries) => work({ ...queries, ...change(queries, db) }), who),
  }),
});
/** Rows that are read by these words are answered like this. */
const reading = (words: RegExp, answer: (queries: Queries, sql: string, params: never) => Promise<unknown[]>): Wrong =>
  within((queries) => ({
    all: <T>(sql: string, params: never) =>
      (words.test(sql) ? answer(queries, sql, params) : queries.all<T>(sql, params)) as Promise<T[]>,
  }));
const early = (which: 'writer' | 'others'): Wrong => ({
  db: (db) => ({
    ...db,
    transaction: (work, who) =>
      (who ?? 'others') !== which
        ? db.transaction(work, who)
        : new Promise((resolve, reject) => {
            const run = async (queries: Queries) => {
              const result = await work(queries);
              resolve(result);
              return result;
            };
            db.transaction(run, who).catch(reject);
          }),
  }),
});
const unlocked = (table: string): Wrong =>
  reading(new RegExp(`FROM ${table}.* FOR UPDATE$`, 's'), (queries, sql, params) =>
    queries.all(sql.replace(/ FOR UPDATE$/, ''), params),
  );

const SERVER: Partial<Weather> = { kind: 'binlog', processes: 2 };
const CUT: Partial<Weather> = { ...SERVER, faults: 0.05 };
const CALM: Partial<Weather> = {
  processes: 1,
  kills: 0,
  crashes: 0,
  hangs: 0,
  faults: 0,
  stalls: 0,
  fullDisks: 0,
  signed: false,
};
const SIGNED: Partial<Weather> = { signed: true, retentionDays: 0, deletes: false };

export const WRONG: Readonly<Record<string, Design>> = {
  'an answer before COMMIT': { wrong: early('writer'), weather: { kind: 'binlog' } },
  'a transaction that is done again after an unknown COMMIT': {
    wrong: {
      db: (db) => ({
        ...db,
        transaction: (work, who) =>
          db.transaction(work, who).catch((error: unknown) => {
            if (failed(error, 'unknown')) return db.transaction(work, who);
            throw error;
          }),
      }),
    },
    weather: CUT,
  },
  'a COMMIT of which nobody knows, told as nothing stored': {
    wrong: {
      db: (db) => ({
        ...db,
        transaction: (work, who) =>
          db.transaction(work, who).catch((error: unknown) => {
            if (failed(error, 'unknown')) throw Object.assign(Object.create(error as object), { failure: 'away' });
            throw error;
          }),
      }),
    },
    weather: CUT,
  },
  'contents that are handed out before their lease is committed': { wrong: early('others'), weather: SERVER },
  'a fence that asks nobody about holes': {
    wrong: reading(/JSON_TABLE|NOWAIT$|information_schema\.processlist$|WHERE COMMAND NOT IN/, async (_, sql) =>
      /processlist/.test(sql) ? [{ k: 0, q: 0, own: 1, text: 'SELECT' }] : [],
    ),
    weather: { ...SERVER, foreign: 2, sight: true },
  },
  'consumers without their lock': { wrong: unlocked('restante_consumer'), weather: { ...SERVER, workers: 2 } },
  'a release without its lock': { wrong: unlocked('restante_refusal'), weather: { ...SERVER, ...SIGNED } },
  'a release that ends the refusal before it stores the content': {
    wrong: within((queries, db) => ({
      async all<T>(sql: string, params: readonly Value[] = []) {
        if (!/FROM restante_refusal.* FOR UPDATE$/s.test(sql)) return queries.all<T>(sql, params);
        const found = await queries.all<T>(sql.replace(/ FOR UPDATE$/, ''), params);
        if (found.length > 0)
          await db.run('UPDATE restante_refusal SET released_as = 1 WHERE id = ?', params.slice(0, 1));
        return found;
      },
    })),
    weather: { ...SERVER, ...SIGNED, kills: 2 },
  },
  'leases by the clock of each process': {
    wrong: {
      db: (db, name) => ({ ...db, dialect: { ...db.dialect, nowMs: `(sim_now() + ${name === 'p2' ? 3_000 : 0})` } }),
    },
    weather: { ...SERVER, workers: 2 },
  },
  'leases by the clock as it is set': {
    wrong: within((queries) => ({
      run: async (sql, params) =>
        /^UPDATE restante_meta SET v = \? WHERE k = 'clock' AND/.test(sql) ? 1 : queries.run(sql, params),
    })),
    weather: { workers: 2, jumps: 2 },
  },
  'retention by a clock that is ahead': {
    wrong: {
      db: (db) => ({
        ...db,
        all: async <T>(sql: string, params?: readonly Value[]) => {
          const rows = await db.all<T>(sql, params);
          // By such a clock contents were seen an hour earlier than they were.
          const earlier = (row: T) => ({ ...row, seen_ms: (row as { seen_ms: number }).seen_ms - 3_600_000 });
          return /^SELECT pos, seen_ms FROM restante_position/.test(sql) ? rows.map(earlier) : rows;
        },
      }),
    },
    weather: { retentionDays: 1 },
  },
  'retention that does not ask the consumers': {
    wrong: reading(/FROM restante_consumer c WHERE c\.user_id IN/, async () => []),
    weather: { retentionDays: 1, lengthMs: 1_200 },
  },
  'a quota for each webhook': {
    wrong: {
      parts: (parts) => {
        const apart = <T extends { readonly user_id: number; readonly wh_id: number }>(one: T): T => ({
          ...one,
          user_id: one.wh_id,
        });
        const { quota } = parts;
        return { ...parts, quota: { refuse: (owner) => quota.refuse(apart(owner)), stored: () => {} } };
      },
    },
    weather: { ...CALM, middle: 0.8, quotaMb: 1, users: 1, senders: 3, burst: 8, idleMs: 30, lengthMs: 1_200 },
  },
  'a queue without a bound': {
    wrong: {
      parts: (parts) => ({
        ...parts,
        writer: Object.defineProperties(
          { ...parts.writer, full: () => false },
          {
            waitingBytes: { get: () => parts.writer.waitingBytes },
          },
        ),
      }),
    },
    slow: true,
    weather: { ...CALM, large: 0.8, hangs: 2, senders: 8, burst: 8, idleMs: 30, users: 1, lengthMs: 1_200 },
  },
};

// Each shows in the first thirty or so.
export const CONTROL_SEEDS = 300;

/** Rejects when no world catches it, or when the world breaks the right program, too. */
export async function isCaught({ wrong, weather = {} }: Design): Promise<void> {
  const found = await caught((seed) => simulateProgram(seed, { wrong, weather }), CONTROL_SEEDS);
  if (!found) throw new Error(`not caught in ${CONTROL_SEEDS} worlds`);
  if (!(found.error instanceof Violation)) throw found.error;
  await simulateProgram(found.seed, { weather });
}
