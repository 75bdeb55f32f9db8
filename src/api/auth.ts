// Basic authentication: user id and token, compared in constant time; users are kept in memory for 5 s. Guessing is slowed down.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import { COUNTED } from '../admission/resources.ts';
import type { Config } from '../config/config.ts';
import { unauthenticated, unavailable, whereToken } from '../errors.ts';
import { limitKey, type Sender } from '../http/address.ts';
import type { Store } from '../store/open.ts';
import { createRefreshed } from '../store/shared-reads.ts';
import { findUsers, type User } from '../store/users.ts';

const MOST_VERIFIED = 50_000;
const MOST_READ = 50_000;
// Longer headers are not kept: Basic, an id and a token of 45 characters are shorter; spaces may make kilobytes of the same.
const MOST_KEPT = 200;
const VERIFIED_MS = 10 * 60_000;
// A refusal takes at least this long: the time of a database read must not show whether a user exists.
const REFUSAL_FLOOR_MS = 25;

export type Auth = ReturnType<typeof createAuth>;

interface Credentials {
  readonly id: number;
  /** The digest of the token. */
  readonly token: Buffer;
}

/** Strict: an id without sign, space or leading zero (SQL would read "1abc" as 1), well-formed base64. */
function parse(header: string): Credentials | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  if (!encoded) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const colon = bytes.indexOf(58);
  const id = bytes.subarray(0, Math.max(0, colon)).toString('latin1');
  return /^[1-9][0-9]{0,9}$/.test(id) ? { id: Number(id), token: digest(bytes.subarray(colon + 1)) } : undefined;
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest();

interface Account extends Credentials {
  /** False for a user without a token, or whose status may not sign in. */
  readonly open: boolean;
}
const NO_ACCOUNT: Account = { id: 0, token: digest(randomBytes(32)), open: false };
const UNREADABLE = Buffer.alloc(32);
/** By digest: in constant time whatever the lengths of the tokens. */
const opens = (account: Account, token: Buffer): boolean => timingSafeEqual(account.token, token) && account.open;

export interface AuthParts {
  readonly store: Pick<Store, 'db'>;
  readonly config: Pick<Config, 'requireUserStatus' | 'serviceName' | 'dashboardUrl'>;
  readonly sender: Sender;
}

export function createAuth({ store, config, sender }: AuthParts) {
  const allowed = ({ status }: User) =>
    config.requireUserStatus.length === 0 || config.requireUserStatus.includes(status);
  // Users in use are read again every few seconds: the same token is not hashed again.
  const digests = new LRUCache<number, { readonly raw: Buffer; readonly digest: Buffer }>({ max: MOST_READ });
  function digestOf({ id, token }: User): Buffer {
    const before = digests.get(id);
    if (before?.raw.equals(token)) return before.digest;
    const made = { raw: token, digest: digest(token) };
    digests.set(id, made);
    return made.digest;
  }
  const accountOf = (user: User): Account => ({
    id: user.id,
    token: digestOf(user),
    open: user.token.length > 0 && allowed(user),
  });
  const users = createRefreshed<number, Account>(async (ids) => {
    const found = await findUsers(store.db, ids);
    return new Map([...found].map(([id, user]) => [id, accountOf(user)]));
  });
  // A token that was revoked on the new primary must not live on in what the old one said.
  store.db.onTerm?.(() => users.forget(() => true));
  const limits = createLimits();
  // The token that a user was let in with last: only these pass while an address is limited, and a guess never gets in here.
  const verified = new LRUCache<number, Buffer>({ max: MOST_VERIFIED, ttl: VERIFIED_MS, updateAgeOnGet: true });
  const known = (given: Credentials): boolean => {
    const before = verified.get(given.id);
    return before !== undefined && timingSafeEqual(before, given.token);
  };

  const refuse = (detail: string) => unauthenticated(detail, config.serviceName);

  /** The slow way: the row is read for every caller, so that a wrong token and an unknown user cost the same. */
  async function attempt(address: string, blind: boolean, given: Credentials | undefined): Promise<number> {
    const began = performance.now();
    const trusted = given !== undefined && known(given);
    const end = await limits.begin(address, given?.id, { blind, trusted });
    try {
      // No user has the id 0: credentials that cannot be parsed take the same way as those of an unknown user.
      const account = (await users.read(given?.id ?? 0)) ?? NO_ACCOUNT;
      if (opens(account, given?.token ?? UNREADABLE)) {
        verified.set(account.id, account.token);
        end(false);
        return account.id;
      }
      if (given && known(given)) verified.delete(given.id);
    } catch (error) {
      end(false);
      throw unavailable('The database cannot be reached. Try again soon.', error);
    }
    await new Promise((resolve) => setTimeout(resolve, REFUSAL_FLOOR_MS - (performance.now() - began)));
    end(true);
    throw refuse(`Incorrect Authentication: the user id or the token is wrong. ${whereToken(config.dashboardUrl)}`);
  }

  // The same credentials asked for many times at once (a fleet of pollers after a restart) are one attempt.
  const attempts = new Map<string, Promise<number>>();
  function slow(request: IncomingMessage, header: string, given: Credentials | undefined): Promise<number> {
    const address = limitKey(sender.address(request));
    const key = `${address} ${header}`;
    let running = attempts.get(key);
    if (!running) {
      running = attempt(address, sender.blind(request), given).finally(() => attempts.delete(key));
      attempts.set(key, running);
    }
    return running;
  }

  // Right headers, parsed: they are decoded and hashed once, not with every call.
  const read = new LRUCache<string, Credentials>({ max: MOST_READ });
  return {
    /** The user id at once when the verdict is known, else a promise of it. Throws or rejects with a Problem. */
    check(request: IncomingMessage): number | Promise<number> {
      const header = request.headers.authorization;
      if (header === undefined) throw refuse('Not authenticated: send Authorization: Basic base64(<user id>:<token>).');
      const given = read.get(header) ?? parse(header);
      const account = given && users.get(given.id);
      if (account && known(given) && opens(account, given.token)) {
        if (header.length <= MOST_KEPT && !read.has(header)) read.set(header, given);
        return account.id;
      }
      return slow(request, header, given);
    },
    /** For a request that was let in and waits. The result tells, whenever it is called, whether the token was revoked since. */
    watch({ headers: { authorization = '' } }: IncomingMessage): () => boolean | Promise<boolean> {
      const given = read.get(authorization) ?? parse(authorization);
      const closed = (account: Account | undefined) => !given || !account || !opens(account, given.token);
      return () => {
        const account = given && users.get(given.id);
        if (account || !given) return closed(account);
        // While the database is away this cannot be known: the next call tells.
        return users.read(given.id).then(closed, () => false);
      };
    },
    close: (): void => users.close(),
  };
}

// Limits on failed sign-ins -----------------------------------------------------------------------------------------

const WINDOW_MS = 60_000;
// Of one address in all.
const MOST_PER_ADDRESS = 200;
const MOST_REMEMBERED = 20_000;

/** The attempts of one sender in this minute. */
interface Tally {
  failed: number;
  pending: number;
  until: number;
}

export function createLimits({ windowMs = WINDOW_MS } = {}) {
  const tallies = new LRUCache<string, Tally>({ max: MOST_REMEMBERED });
  // Attempts that wait until one more is allowed: each verdict wakes all of them.
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
    /**
     * Waits until an attempt may be judged, and resolves with what must be called with its outcome. Throws a 429 when
     * there were too many failures. `trusted`: these credentials were right before. `blind`: all senders look like one, so that
     * a limit would lock out the user instead of the guesser: only how many are judged at once is bounded.
     */
    async begin(
      address: string,
      userId: number | undefined,
      { blind, trusted }: { readonly blind: boolean; readonly trusted: boolean },
    ): Promise<(failed: boolean) => void> {
      const limits = [{ tally: tallyOf(`${address} ${userId ?? ''}`), most: COUNTED.guesses.each() }];
      if (!blind) limits.push({ tally: tallyOf(address), most: MOST_PER_ADDRESS });
      const counted = (tally: Tally) => (blind ? 0 : tally.failed);
      // A burst of guesses must not slip in before the first verdict: pending attempts count, and those beyond the limit wait
      // for a verdict or for the end of the minute.
      while (!trusted) {
        const now = performance.now();
        for (const { tally } of limits) renew(tally, now);
        const wait = Math.max(...limits.map(({ tally, most }) => (counted(tally) >= most ? tally.until - now : 0)));
        if (wait > 0) throw COUNTED.guesses.refusal(COUNTED.guesses.each(), Math.ceil(wait / 1000));
        if (limits.every(({ tally, most }) => counted(tally) + tally.pending < most)) break;
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
