// One after the other: calls that change the same thing stand in a line, but not for ever.
import { unavailable } from '../errors.ts';

/** The end of the line. */
export interface Line {
  last: Promise<unknown>;
}

/** How long a call stands in the line, and what it gets instead of its turn. */
interface Patience<T> {
  readonly ms: number;
  late(): T | Promise<T>;
  /** The work is done in its turn all the same. */
  readonly still?: boolean;
}

// A database that hangs makes a long line; a call that stands in it is answered, and asks again.
const TURN_MS = 10_000;
const tooLate = {
  ms: TURN_MS,
  late: () => Promise.reject(unavailable('Too many calls on this at once, or the database is slow. Try again soon.')),
};

/** Runs `work` when all that came before have ended. A call whose turn does not come in time, in 10 s at most, does without. */
export const inTurn = <T>(line: Line, work: () => Promise<T>, patience: Patience<T> = tooLate): Promise<T> =>
  new Promise((resolve, reject) => {
    const { ms, late, still = false }: Patience<T> = patience.ms < TURN_MS ? patience : { ...patience, ...tooLate };
    let waiting = true;
    const timer = setTimeout(() => {
      waiting = false;
      resolve(late());
    }, ms);
    const turn = async () => {
      clearTimeout(timer);
      if (waiting || still) resolve(await work());
    };
    line.last = line.last.then(turn).catch(reject);
  });
