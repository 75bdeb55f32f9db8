// Walks over a table by id, in parts that take about as long as one another, however far apart and however large the rows are.
const PART_MS = 150;
const FIRST_IDS = 1_000;
const MOST_IDS = 50_000;

/** Calls `work` for after < id <= upTo, part by part, until it has come to `last`. */
export async function walkIds(last: number, work: (after: number, upTo: number) => Promise<void>): Promise<void> {
  let ids = FIRST_IDS;
  for (let at = 0; at < last; ) {
    const upTo = Math.min(last, at + ids);
    const began = performance.now();
    await work(at, upTo);
    const took = Math.max(1, performance.now() - began);
    ids = Math.round(Math.min(MOST_IDS, Math.max(1, Math.min((ids * PART_MS) / took, 2 * ids))));
    at = upTo;
  }
}
