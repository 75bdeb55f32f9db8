// The database's clock, as far as it can be known between two statements: one clock for all processes.

export interface DbClock {
  /** What a statement has just told. */
  set(dbNow: number): void;
  /** Never ahead of the database: what is not due there is not due here. -Infinity before the first statement. */
  now(): number;
}

// Clocks are set now and then: after so long even a lower reading counts.
const TRUSTED_MS = 60_000;

export function createDbClock(): DbClock {
  let offset = Number.NEGATIVE_INFINITY;
  let setAt = Number.NEGATIVE_INFINITY;
  return {
    set(dbNow) {
      const at = performance.now();
      // It was read before its answer came: of several readings the highest is the truest.
      if (dbNow - at < offset && at - setAt < TRUSTED_MS) return;
      offset = dbNow - at;
      setAt = at;
    },
    now: () => performance.now() + offset,
  };
}
