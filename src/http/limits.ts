// Slows down guessing: so many failed sign-ins a minute for one user id from one address, and for one address in all.
import { LRUCache } from 'lru-cache';
import { tooManyFailures } from '../errors.ts';

const WINDOW_MS = 60_000;
const MOST_PER_USER = 20;
const MOST_PER_ADDRESS = 200;
const MOST_REMEMBERED = 20_000;

/** What came of the attempts of one sender in this minute. */
interface Tally {
  failed: number;
  pending: number;
  until: number;
}

export interface Limits {
  /**
   * Waits until an attempt may be judged, and resolves with what must be called with its outcome. Throws a 429 when
   * there were too many failures. `trusted`: these credentials were right before. `blind`: all senders look like one.
   */
  begin(
    address: string,
    userId: number | undefined,
    sender: { readonly blind: boolean; readonly trusted: boolean },
  ): Promise<(failed: boolean) => void>;
}

export function createLimits({ windowMs = WINDOW_MS } = {}): Limits {
  const tallies = new LRUCache<string, Tally>({ max: MOST_REMEMBERED });
  // Attempts that wait for room: each verdict wakes all of them, whosever it is.
  const waiting = new Set<() => void>();

  function tallyOf(key: string): Tally {
    const tally = tallies.get(key) ?? { failed: 0, pending: 0, until: 0 };
    tallies.set(key, tally);
    return tally;
  }

  /** Begins the next minute of a tally whose minute is over. */
  function renew(tally: Tally, now: number): void {
    if (tally.until <= now) Object.assign(tally, { failed: 0, until: now + windowMs });
  }

  /** Resolves with the next verdict, or after `ms`. */
  const verdict = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      function wake(): void {
        clearTimeout(timer);
        waiting.delete(wake);
        resolve();
      }
      const timer = setTimeout(wake, ms);
      waiting.add(wake);
    });

  return {
    async begin(address, userId, { blind, trusted }) {
      const limits = [{ tally: tallyOf(`${address} ${userId ?? ''}`), most: MOST_PER_USER }];
      if (!blind) limits.push({ tally: tallyOf(address), most: MOST_PER_ADDRESS });
      // A burst of guesses must not slip in before the first verdict: what is not decided yet counts, and waits. A minute may
      // end meanwhile, and then there is room without a verdict.
      for (;;) {
        const now = performance.now();
        for (const { tally } of limits) renew(tally, now);
        if (trusted) break;
        const wait = Math.max(...limits.map(({ tally, most }) => (tally.failed >= most ? tally.until - now : 0)));
        if (wait > 0) throw tooManyFailures(Math.ceil(wait / 1000));
        if (limits.every(({ tally, most }) => tally.failed + tally.pending < most)) break;
        await verdict(Math.ceil(Math.min(...limits.map(({ tally }) => tally.until)) - now));
      }
      for (const { tally } of limits) tally.pending++;
      return (failed) => {
        for (const { tally } of limits) {
          tally.pending--;
          if (failed) tally.failed++;
        }
        for (const wake of [...waiting]) wake();
      };
    },
  };
}

/** One key per IPv6 /64: a household or a server has a whole one. */
export const limitKey = (address: string): string =>
  address.includes(':') ? expandIpv6(address).slice(0, 4).join(':') : address;
function expandIpv6(address: string): string[] {
  const [left = '', right] = address.split('::');
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16).toString(16));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  return [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail];
}
