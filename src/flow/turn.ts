// One after the other: who wants to change the same thing waits for his turn, but not for ever.
import { unavailable } from '../errors.ts';

/** The end of the line. */
export interface Line {
  last: Promise<unknown>;
}

// A database that hangs makes a long line; whoever stands in it is answered, and asks again.
const TURN_MS = 10_000;

/** Runs `work` when all that came before have ended; rejects with a 503, and never runs it, when that takes too long. */
export const inTurn = <T>(line: Line, work: () => Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    let waiting = true;
    const late = setTimeout(() => {
      waiting = false;
      reject(unavailable('Too many calls on this at once, or the database is slow. Try again soon.'));
    }, TURN_MS);
    const turn = async () => {
      clearTimeout(late);
      if (waiting) resolve(await work());
    };
    line.last = line.last.then(turn).catch(reject);
  });
