// Everything that users share and that one of them could use up, as data: how much there is, how much one user may have, and
// what a caller is told who gets nothing. A new resource is a row here.
import type { Config } from '../config/config.ts';
import {
  overLimit,
  type Problem,
  tooManyConsumers,
  tooManyFailures,
  tooManySearches,
  tooManyTests,
  tooManyWebhooks,
  unavailable,
} from '../errors.ts';

const MiB = 1024 * 1024;
const MB = 1_000_000;
// The beginning of each body and smaller answers are not counted: they always have room.
export const SMALL_BYTES = 64 * 1024;

/** The settings that bound what one user may have. */
type Settings = Pick<
  Config,
  'quotaMbPerUser' | 'ratePerUser' | 'unjudgedMbPerUser' | 'waitingPerUser' | 'webhooksPerUser'
>;

/** What the bounds are computed from. */
export interface Limits {
  readonly config: Settings;
  /** Bytes that the process may use, see `MAX_MEMORY_MB`. */
  readonly memoryBytes: number;
}

export interface Resource {
  /** What it is, in a sentence for the operator. */
  readonly what: string;
  readonly unit: 'bytes' | 'calls' | 'requests' | 'rows' | 'guesses' | 'connections';
  /** Whose share it is: of a user, or of an address where the user is not known yet. */
  readonly of: 'user' | 'address';
  /** How much there is for all together; Infinity: what the database has room for. */
  readonly all: (memoryBytes: number) => number;
  /** How much one may have at most, however little the others have. Infinity: a share of `all`, or what `setting` says. */
  readonly each: (config: Settings) => number;
  /** The setting that changes `each`. */
  readonly setting?: string;
  /** What a caller is told who gets nothing: what happened, and what to do. `most`: what `each` says; `seconds`: until there is some. */
  readonly refusal: (most: number, seconds: number) => Problem;
}

const soon = (detail: string) => () => unavailable(detail);
const aShare = () => Number.POSITIVE_INFINITY;

/**
 * What is held in the memory of this process and given back. `createRooms` makes a room of each row. One user has at most half
 * of what the others leave, so that the next one always gets something.
 */
export const HELD = {
  bodies: {
    what: 'Large bodies that are being received. The first 64 KiB of each are not counted.',
    unit: 'bytes',
    of: 'user',
    all: () => 256 * MiB,
    each: aShare,
    refusal: soon('Too many large bodies are being read. Send it again soon.'),
  },
  verdicts: {
    what: 'Bodies above 64 KiB that wait for their verdict.',
    unit: 'bytes',
    of: 'user',
    all: () => 256 * MiB,
    each: aShare,
    refusal: soon('Too many large bodies are being verified. Send it again soon.'),
  },
  queue: {
    what: 'Contents that wait for their transaction.',
    unit: 'bytes',
    of: 'user',
    all: () => 64 * MiB,
    each: aShare,
    refusal: soon('Too much is waiting to be stored. Send it again soon.'),
  },
  refusals: {
    what: 'Refused requests that wait to be noted.',
    unit: 'bytes',
    of: 'user',
    all: () => 32 * MiB,
    each: aShare,
    refusal: soon('This request cannot be kept now, nothing was stored. Send it again later.'),
  },
  answers: {
    what: 'Answers above 64 KiB that their readers have not taken yet. What several readers wait for counts once.',
    unit: 'bytes',
    of: 'user',
    all: (memoryBytes) => Math.min(256 * MiB, memoryBytes / 4),
    each: aShare,
    refusal: soon('Too much of what you asked for is still on its way. Read it, then ask again.'),
  },
  waiting: {
    what: 'Calls that wait for a content: lists and pulls with `wait`, and streams.',
    unit: 'calls',
    of: 'user',
    // A waiting call takes 30 KiB with its connection: together a quarter of the memory.
    all: (memoryBytes) => Math.floor(memoryBytes / 4 / (32 * 1024)),
    each: (config) => config.waitingPerUser,
    setting: 'WAITING_PER_USER',
    refusal: (most) =>
      unavailable(
        `You have ${most} calls that wait here (polls, pulls and streams), as many as you may have now. End some, or ask again without wait.`,
      ),
  },
} as const satisfies Readonly<Record<string, Resource>>;

/** What is counted where it is added: rows by the statement that inserts, the rest by the second. */
export const COUNTED = {
  webhooks: {
    what: 'Webhooks. Those of other applications are not counted.',
    unit: 'rows',
    of: 'user',
    all: aShare,
    each: (config) => config.webhooksPerUser,
    setting: 'WEBHOOKS_PER_USER',
    refusal: tooManyWebhooks,
  },
  consumers: {
    what: 'Consumers, with their reading positions.',
    unit: 'rows',
    of: 'user',
    all: aShare,
    each: () => 100,
    refusal: tooManyConsumers,
  },
  stored: {
    what: 'Bodies, headers and refusals that are stored.',
    unit: 'bytes',
    of: 'user',
    all: aShare,
    each: ({ quotaMbPerUser }) => (quotaMbPerUser === undefined ? Number.POSITIVE_INFINITY : quotaMbPerUser * MB),
    setting: 'QUOTA_MB_PER_USER',
    refusal: (most, seconds) => overLimit(`This user has ${most / MB} MB stored, and may have no more.`, seconds),
  },
  unjudged: {
    what: 'Requests that wait for the secrets of their webhooks. Their senders got a 2xx, so only time removes them.',
    unit: 'bytes',
    of: 'user',
    all: aShare,
    each: ({ unjudgedMbPerUser }) => unjudgedMbPerUser * MB,
    setting: 'UNJUDGED_MB_PER_USER',
    refusal: (most, seconds) =>
      overLimit(
        `Requests of ${most / MB} MB wait for the secrets of this user's webhooks, and no more are kept: their owner has to set them.`,
        seconds,
      ),
  },
  requests: {
    what: 'Requests that webhooks receive, in a second.',
    unit: 'requests',
    of: 'user',
    all: aShare,
    each: ({ ratePerUser }) => ratePerUser ?? Number.POSITIVE_INFINITY,
    setting: 'RATE_PER_USER',
    refusal: (most, seconds) => overLimit(`This user may receive ${most} requests a second.`, seconds),
  },
  searches: {
    what: 'Searches under way: one runs, the others wait for it.',
    unit: 'calls',
    of: 'user',
    all: aShare,
    // Each waits for a second at most for each one before it.
    each: () => 20,
    refusal: tooManySearches,
  },
  tests: {
    what: 'Tests of webhooks that are sent, in a minute. Each counts as a request, too.',
    unit: 'calls',
    of: 'user',
    all: aShare,
    // More than a person clicks, and than a program needs that tries out what it does with an event.
    each: () => 60,
    refusal: tooManyTests,
  },
  guesses: {
    what: 'Sign-ins of one user that failed from one address, in a minute.',
    unit: 'guesses',
    of: 'address',
    all: aShare,
    each: () => 20,
    refusal: (_most, seconds) => tooManyFailures(seconds),
  },
} as const satisfies Readonly<Record<string, Resource>>;

export const RESOURCES: Readonly<Record<string, Resource>> = { ...HELD, ...COUNTED };

/** How much of it one user may have while nobody else has any; Infinity: there is no bound, and `setting` would set one. */
export const mostOfOne = ({ all, each }: Resource, { config, memoryBytes }: Limits): number =>
  Math.min(each(config), all(memoryBytes) / 2);
