// Searches take turns: of one user one runs at a time, so that other users find the database free.
import { COUNTED } from '../admission/resources.ts';

interface Line {
  /** Under way, and of these those that count. */
  calls: number;
  counted: number;
  last: Promise<unknown>;
}

export function createSearchLine(most = COUNTED.searches.each()) {
  const lines = new Map<number, Line>();
  /**
   * Runs `search` after those that came before. Throws when too many of the user wait, unless it goes on with a call that was let
   * in: streams and waiting calls have a bound of their own.
   */
  return async function inLine<T>(userId: number, goesOn: boolean, search: () => Promise<T>): Promise<T> {
    const line = lines.get(userId) ?? { calls: 0, counted: 0, last: Promise.resolve() };
    if (!goesOn && line.counted >= most) throw COUNTED.searches.refusal(most);
    lines.set(userId, line);
    line.calls++;
    if (!goesOn) line.counted++;
    const mine = line.last.then(search);
    line.last = mine.catch(() => {});
    try {
      return await mine;
    } finally {
      if (!goesOn) line.counted--;
      if (--line.calls === 0) lines.delete(userId);
    }
  };
}
