// What stands behind the flags of verbs: numbers, words of a list, and where a client verb finds the service.
import type { Command } from 'commander';
import { Complaint } from './io.ts';

/** The most that an id of the classic tables can be. */
export const MOST_ID = 4_294_967_295;

export function whole(text: string, what: string, least: number, most: number): number {
  if (!/^\d{1,15}$/.test(text) || Number(text) < least || Number(text) > most)
    throw new Complaint(`${what} must be a whole number from ${least} to ${most}, not ${text}`, 2);
  return Number(text);
}

/** Undefined for a flag that was not given. */
export function oneOf<T extends string>(text: string | undefined, what: string, words: readonly T[]): T | undefined {
  if (text !== undefined && !words.includes(text as T))
    throw new Complaint(`${what} must be ${words.join(' or ')}, not ${text}`, 2);
  return text as T | undefined;
}

const HOUR_MS = 3_600_000;
/** `24h` or `7d` in ms. */
export function spanMs(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,4})([hd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * (unit === 'd' ? 24 : 1) * HOUR_MS;
}

export const STARTS = ['earliest', 'latest'] as const;

/** Of every verb that speaks to a running service. Its credentials have no flag: whoever lists processes sees arguments. */
export const withService = (command: Command): Command =>
  command
    .option('--url <url>', 'the service (env RESTANTE_URL, default http://127.0.0.1:4343)')
    .option('--auth-file <file>', 'a file with id:token (env RESTANTE_AUTH or RESTANTE_AUTH_FILE)');
