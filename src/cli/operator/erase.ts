// restante erase: removes all that is kept of a user, or all that contains a text, and says what it cannot reach.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { walkIds } from '../../retention/retention.ts';
import { type Db, failed } from '../../store/db.ts';
import { causeOf } from '../../store/engine/causes.ts';
import type { Store } from '../../store/open.ts';
import {
  eraseReasons,
  eraseWanted,
  findWanted,
  type Ids,
  type Kind,
  lastId,
  MOST_ERASED,
  type Wanted,
} from '../../store/retention.ts';
import { Complaint, createProgress, type Io } from '../io.ts';
import { withExtended } from '../open.ts';
import { configOf, MOST_ID, verb, whole } from '../verb.ts';

interface Options {
  readonly user?: string;
  readonly match?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly vacuum: boolean;
}
type Counts = Readonly<Record<Kind, number>>;

// Almost everything contains a shorter text.
const LEAST_TEXT = 4;

export const eraseCommand = (io: Io): Command =>
  verb({
    name: 'erase',
    summary: 'Erase all that is kept of a user, or all that contains a text.',
    examples: [
      'restante erase --user 7 --dry-run             how much there is',
      'restante erase --user 7 --yes                 all contents of user 7, their requests, and what was refused',
      'restante erase --match ana@example.org        all that has this text in its bytes, of all users',
      'restante erase --match ana@example.org --user 7',
    ],
    settings: ['databaseUrl'],
  })
    .option('--user <id>', 'of this user, who may be deleted already')
    .option('--match <text>', 'what contains this text, exactly as it is written here, as UTF-8, in URLs, or in JSON')
    .option('--dry-run', 'only count')
    .option('--yes', 'do not ask')
    .option('--no-vacuum', 'on SQLite: leave the file as it is; fragments may stay in its unused parts')
    .action(async (options: Options) => {
      const { user, match, dryRun } = options;
      const config = configOf(io, options);
      if (user === undefined && match === undefined)
        throw new Complaint('say what: --user ID, --match TEXT, or both', 2);
      if (match !== undefined && match.length < LEAST_TEXT)
        throw new Complaint(
          `--match needs at least ${LEAST_TEXT} characters: almost everything contains a shorter text`,
          2,
        );
      const userId = user === undefined ? undefined : whole(user, '--user', 1, MOST_ID);
      const wanted: Wanted = { userId, texts: match === undefined ? [] : spellings(match) };
      if (!dryRun && !options.yes && !io.tty)
        throw new Complaint('there is no terminal to ask on: add --yes, or --dry-run', 2);
      await withExtended(config, async (store) => {
        if (dryRun || !options.yes) {
          const counts = await walk(io, store, wanted, false);
          io.out(`${told(counts)} ${dryRun ? 'would be erased' : 'are to be erased'}\n`);
          if (dryRun) return;
          if ((await io.ask('Erase them for good? Type yes: ')).trim() !== 'yes')
            throw new Complaint('not answered with yes: nothing was done');
        }
        const counts = await walk(io, store, wanted, true);
        await eraseReasons(store.db, wanted);
        const { inFiles, failure } = await scrub(store, options.vacuum);
        io.out(`${told(counts)} were erased\n`);
        io.err(unreached(store, inFiles));
        if (failure)
          throw new Complaint(
            `erased, but the file was not rewritten: ${failure.found}. ${failure.fix} Then run it again: it rewrites the file.`,
          );
      });
    });

/** Counts what is wanted; with `erase` it erases it, too. */
async function walk(io: Io, { db }: Store, wanted: Wanted, erase: boolean): Promise<Counts> {
  const counts = { contents: 0, refusals: 0 };
  const progress = createProgress(io, erase ? 'erasing' : 'looking');
  try {
    for (const kind of ['contents', 'refusals'] as const) {
      const last = await lastId(db, kind);
      await walkIds(last, async (after, upTo) => {
        const ids = await find(db, kind, wanted, { after, upTo });
        for (let from = 0; erase && from < ids.length; from += MOST_ERASED) {
          const began = performance.now();
          await eraseWanted(db, kind, ids.slice(from, from + MOST_ERASED));
          // A service that runs beside it gets the database for half of the time.
          await sleep(performance.now() - began);
        }
        counts[kind] += ids.length;
        progress.at(upTo / last, `${counts[kind]} ${kind}`);
      });
    }
    return counts;
  } finally {
    progress.end();
  }
}

/** In smaller parts where the bodies are so large that the database is not done in time. */
async function find(db: Db, kind: Kind, wanted: Wanted, { after, upTo }: Ids): Promise<number[]> {
  try {
    return await findWanted(db, kind, wanted, { after, upTo });
  } catch (error) {
    if (!failed(error, 'away') || upTo - after === 1) throw error;
    const middle = Math.floor((after + upTo) / 2);
    const first = await find(db, kind, wanted, { after, upTo: middle });
    return [...first, ...(await find(db, kind, wanted, { after: middle, upTo }))];
  }
}

const told = ({ contents, refusals }: Counts): string => `${contents} contents and ${refusals} refusals`;

const SCRUB_TRIES = 20;
const SCRUB_PAUSE_MS = 250;
/** On SQLite. `inFiles`: what files of the database may still have of it. */
async function scrub({ db }: Store, rewrite: boolean) {
  if (!db.scrub) return { inFiles: [], failure: undefined };
  const gaps = rewrite ? [] : ['unused parts of the file: without --no-vacuum it is written anew'];
  try {
    let done = await db.scrub(rewrite);
    for (let tries = 0; !done && tries < SCRUB_TRIES; tries++) {
      await sleep(SCRUB_PAUSE_MS);
      done = await db.scrub(false);
    }
    const log = 'the log beside the file: another process reads it. It ends when the service stops';
    return { inFiles: done ? gaps : [...gaps, log], failure: undefined };
  } catch (error) {
    // Mostly a full disk. The rows are erased all the same, and what is left in files must be told.
    const failure = causeOf(error);
    if (!failure) throw error;
    return { inFiles: ['unused parts of the file: it was not rewritten', 'the log beside the file'], failure };
  }
}

const MYSQL = [
  'the binary log, and replicas that have not caught up',
  'free pages of InnoDB, until they are used again; OPTIMIZE TABLE tblwh, restante_request, restante_refusal is sooner',
];

/** What people have to erase elsewhere. */
function unreached({ db }: Store, inFiles: readonly string[]): string {
  const lines = [
    'backups and exports of the database',
    'copies in other applications, and at clients that fetched it',
    'tbluser; webhooks, with their names and settings; names of consumers',
    ...(db.kind === 'mysql' ? MYSQL : inFiles),
    'what came while this was running: run it again when no more is sent',
  ];
  return `Not reached by this:\n${lines.map((line) => `  * ${line}\n`).join('')}`;
}

// Spellings of a text in a request: as it is, in JSON, in URLs and forms ---------------------------------------------

/**
 * What is written as \uXXXX besides what JSON itself asks for: nothing (JavaScript), what is not ASCII (Python, PHP, Jackson),
 * what means something in HTML (Go, Rails; JavaScriptSerializer; Gson; Newtonsoft), both (PHP's JSON_HEX_*, System.Text.Json).
 */
const ESCAPED = [
  /(?!)/,
  /[^\0-\x7e]/u,
  /[<>&\u2028\u2029]/,
  /[<>&']/,
  /[<>&'=]/,
  /[<>&'"]/,
  /[<>&'"]|[^\0-\x7e]/u,
  /[<>&'"+`]|[^\0-\x7e]/u,
];
/** How the digits of \uXXXX are written. PHP: upper case for ASCII, lower case for the rest. */
const DIGITS: readonly ((code: string, char: string) => string)[] = [
  (code) => code,
  (code) => code.toUpperCase(),
  (code, char) => (char <= '\x7f' ? code.toUpperCase() : code),
];

type Json = { readonly escaped: RegExp; readonly digits: (typeof DIGITS)[number]; readonly slash: string };

function asJson(text: string, { escaped, digits, slash }: Json): string {
  const unit = (char: string, code: number) => `\\u${digits(code.toString(16).padStart(4, '0'), char)}`;
  const written = (char: string): string => {
    if (char === '/') return slash;
    if (escaped.test(char))
      return Array.from({ length: char.length }, (_, i) => unit(char, char.charCodeAt(i))).join('');
    const plain = JSON.stringify(char).slice(1, -1);
    return plain.startsWith('\\u') ? `\\u${digits(plain.slice(2), char)}` : plain;
  };
  return Array.from(text, written).join('');
}

/** What URLs keep as it is, besides letters and digits: PHP; RFC 3986; forms of browsers and Java; JavaScript; Python; axios; whole URLs. */
const KEPT = ['-_.', '-_.~', '-_.*', "-_.~!'()*", '-_.~/', "-_.~!'()*:$,[]", "-_.~!'()*:$,@;/?&=+#"];

function asUrl(text: string, kept: string, space: string): string {
  const written = (char: string): string => {
    if (char === ' ') return space;
    if (/[a-z0-9]/i.test(char) || kept.includes(char)) return char;
    return [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
  };
  return Array.from(text, written).join('');
}

const withLowerCaseHex = (url: string): string => url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());

/** Each once, the text itself first. The tables above bound their number: about a hundred, mostly two or three. */
export function spellings(text: string): Buffer[] {
  const json = ESCAPED.flatMap((escaped) =>
    DIGITS.flatMap((digits) => ['/', '\\/'].map((slash) => asJson(text, { escaped, digits, slash }))),
  );
  const urls = KEPT.flatMap((kept) => ['%20', '+'].map((space) => asUrl(text, kept, space)));
  // The plainest two ways, and each of them inside of a form or of another JSON.
  const nested = [ESCAPED[0], ESCAPED[1]].flatMap((escaped) =>
    ['/', '\\/'].map((slash) => asJson(text, { escaped: escaped as RegExp, digits: (code) => code, slash })),
  );
  const inner = nested.flatMap((one) => [
    JSON.stringify(one).slice(1, -1),
    ...KEPT.slice(0, 4).map((kept) => asUrl(one, kept, '+')),
  ]);
  return [...new Set([text, ...json, ...urls, ...urls.map(withLowerCaseHex), ...inner])].map((one) => Buffer.from(one));
}
