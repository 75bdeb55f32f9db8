// Waiting: between tries, longer each time, and never past the end of who waits.

const FIRST_MS = 250;
// Whoever was away is found again within seconds.
const MOST_MS = 5_000;
// Whoever is asked to end does not wait longer for a server that does not answer.
const END_MS = 3_000;

/**
 * How long to wait after so many failures, in ms, with some chance in it; at least what the server asked for. What failed after
 * `took` ms has been waited for already.
 */
export const backOff = (failures: number, retryAfter = 0, took = 0): number =>
  Math.max(
    retryAfter * 1000,
    Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2) - took,
  );

/** Resolves after `ms`, or at once when `signal` is aborted. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });

/** Done, failed, or not waited for any longer. */
export function soon(work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const settled = work.then(
    () => {},
    () => {},
  );
  return Promise.race([settled, sleep(END_MS, done.signal)]).finally(() => done.abort());
}
