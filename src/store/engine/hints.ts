// Hints that name an index: left out of a statement while the server has no such index, or hides it, and tried again later.

const HINT = /\/\*! FORCE INDEX \([^)]*\) \*\/|FORCE INDEX \([^)]*\)/g;
const NO_SUCH_KEY = 1176;
// An index that comes back, or gets its name back, is named again after this.
const AGAIN_MS = 60_000;

export type Hints = ReturnType<typeof createHints>;

/** Another application, or its operator, may drop, rename or hide an index at any time: a query is slower then, and goes on. */
export function createHints(now = () => performance.now()) {
  const forgotten = new Map<string, number>();
  return {
    /** The statement as it is to be run now. */
    in(sql: string): string {
      if (forgotten.size === 0) return sql;
      return sql.replace(HINT, (hint) => ((forgotten.get(hint) ?? 0) > now() ? '' : hint));
    },
    /** True when a statement failed for its hint, which is left out from now on: it can be run again. */
    forget(error: unknown, sql: string): boolean {
      if ((error as { errno?: unknown }).errno !== NO_SUCH_KEY) return false;
      const hints = sql.match(HINT) ?? [];
      for (const hint of hints) forgotten.set(hint, now() + AGAIN_MS);
      return hints.length > 0;
    },
  };
}
