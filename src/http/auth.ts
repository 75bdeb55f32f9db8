// Basic authentication: user id and token, compared byte for byte in constant time; good verdicts live 5 s in memory.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import { tooManyFailures, unauthenticated, unavailable } from '../errors.ts';
import { createFresh } from '../flow/fresh.ts';
import { findUsers, type User } from '../store/users.ts';
import type { Context } from './context.ts';

const WINDOW_MS = 60_000;
const MOST_PER_USER = 20; // failures a minute from one address for one user id
const MOST_PER_ADDRESS = 200;
const MOST_REMEMBERED = 20_000;
// Every refusal leaves this long after it came: whether a user exists must not show in the time of a database read.
const REFUSAL_FLOOR_MS = 25;

export interface Auth {
  /** The user id at once when the verdict is known, else a promise of it. Throws or rejects with a Problem. */
  check(request: IncomingMessage): number | Promise<number>;
  close(): void;
}

interface Credentials {
  readonly id: number;
  readonly token: Buffer;
}

/** Strict: an id without sign, space or leading zero (SQL would read "1abc" as 1), well-formed base64. */
function parse(header: string): Credentials | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  if (!encoded) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const colon = bytes.indexOf(58);
  const id = bytes.subarray(0, Math.max(0, colon)).toString('latin1');
  return /^[1-9][0-9]{0,9}$/.test(id) ? { id: Number(id), token: bytes.subarray(colon + 1) } : undefined;
}

const NOBODY = Buffer.alloc(32);
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
/** Constant time, and an empty token opens nothing. */
const matches = (stored: Buffer, given: Buffer): boolean =>
  timingSafeEqual(digest(stored), digest(given)) && stored.length > 0;

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

export function createAuth({ store, config, sender }: Context): Auth {
  const allowed = (user: User) =>
    config.requireUserStatus.length === 0 || config.requireUserStatus.includes(user.status);
  const users = createFresh<number, User>((ids) => findUsers(store.db, ids));
  const failures = new LRUCache<string, { count: number; until: number }>({ max: MOST_REMEMBERED });

  /** Counts an attempt as failed until it proves good, so that a burst of guesses cannot slip in before the first verdict. */
  const count = (key: string, by: number): void => {
    const now = performance.now();
    const entry = failures.get(key);
    if (entry && entry.until > now) entry.count += by;
    else if (by > 0) failures.set(key, { count: by, until: now + WINDOW_MS });
  };
  const waitFor = (key: string, most: number): number => {
    const entry = failures.peek(key);
    return entry && entry.count >= most ? Math.max(0, entry.until - performance.now()) : 0;
  };
  const refuse = (detail: string) => unauthenticated(detail, config.serviceName);

  /** The slow way: the row is read now, whoever asks, so that a wrong token and an unknown user cost the same. */
  async function attempt(address: string, blind: boolean, given: Credentials | undefined): Promise<number> {
    const began = performance.now();
    const keys: [string, number][] = [[`${address} ${given?.id ?? ''}`, MOST_PER_USER]];
    if (!blind) keys.push([address, MOST_PER_ADDRESS]);
    const wait = Math.max(...keys.map(([key, most]) => waitFor(key, most)));
    if (wait > 0) throw tooManyFailures(Math.ceil(wait / 1000));
    for (const [key] of keys) count(key, 1);
    try {
      // 0 is nobody's id: credentials that cannot be parsed take the same way as those of an unknown user.
      const user = await users.read(given?.id ?? 0);
      const good = matches(user?.token ?? NOBODY, given?.token ?? NOBODY) && user !== undefined && allowed(user);
      if (good) {
        for (const [key] of keys) count(key, -1);
        return user.id;
      }
    } catch (error) {
      for (const [key] of keys) count(key, -1);
      throw unavailable('The database cannot be reached. Try again soon.', error);
    }
    await new Promise((resolve) => setTimeout(resolve, REFUSAL_FLOOR_MS - (performance.now() - began)));
    throw refuse('Incorrect Authentication: the user id or the token is wrong. Your dashboard shows both.');
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

  return {
    check(request) {
      const header = request.headers.authorization;
      if (header === undefined) throw refuse('Not authenticated: send Authorization: Basic base64(<user id>:<token>).');
      const given = parse(header);
      const user = given && users.get(given.id);
      if (given && user && matches(user.token, given.token) && allowed(user)) return user.id;
      return slow(request, header, given);
    },
    close: () => users.close(),
  };
}
