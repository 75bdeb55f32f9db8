// restante prune: removes old contents now, or says how many. A running service does the same once an hour.
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { agreedPolicy, confirm, heldNow } from '../../retention/held.ts';
import { type Marks, NotOurTurn, prunePass, type Sum } from '../../retention/retention.ts';
import type { Db } from '../../store/db.ts';
import { type Policy, type Rule, readPolicies, readRules } from '../../store/retention.ts';
import { Complaint, createProgress, type Io } from '../io.ts';
import { withExtended } from '../open.ts';
import { configOf, MOST_ID, verb, whole } from '../verb.ts';

interface Options {
  readonly days?: string;
  readonly webhook?: string;
  readonly dryRun?: boolean;
  readonly confirm?: boolean;
}

// Rests twice as long as it works: a service beside it gets most of the database.
const REST = 2;

export const pruneCommand = (io: Io): Command =>
  verb({
    name: 'prune',
    summary: 'Remove contents that are old, as a running service does once an hour.',
    examples: [
      'restante prune --dry-run                how many would go by RETENTION_DAYS and by the settings of webhooks',
      'restante prune --days 90                all that is older than 90 days; webhooks with days of their own keep to them',
      'restante prune --webhook 7 --days 30    of one webhook',
      'restante prune --confirm --dry-run      how many would go, too, that wait for a person: see docs/operations.md',
      'restante prune --confirm                the clock is right, or the new RETENTION_DAYS is meant: those go, and the service goes on',
    ],
    settings: ['databaseUrl', 'retentionDays', 'pruneForeign'],
  })
    .option('--days <number>', 'instead of RETENTION_DAYS')
    .option('--webhook <id>', 'only contents of this webhook; 0 = own contents')
    .option('--dry-run', 'only say what would go')
    .option('--confirm', 'the clock and RETENTION_DAYS are right: removes also what waits for this word')
    .action((options: Options) => {
      const config = configOf(io, options);
      const given = options.days === undefined ? undefined : whole(options.days, '--days', 1, 36_500);
      const whId = options.webhook === undefined ? undefined : whole(options.webhook, '--webhook', 0, MOST_ID);
      return withExtended(config, async ({ db }) => {
        const policy = await policyOf(db, config, given, options);
        const all = await readRules(db, policy.days);
        const rules = whId === undefined ? all : ofOne(all, whId, given);
        if (rules.length === 0)
          throw new Complaint('everything is kept for ever: give --days, or set RETENTION_DAYS or retention_days', 2);
        const progress = createProgress(io, options.dryRun ? 'looking' : 'removing');
        const tell = (share: number, { contents }: Sum) => progress.at(share, `${contents} contents`);
        const how = {
          foreign: policy.foreign,
          dry: options.dryRun === true,
          confirmed: options.confirm === true,
          rest: options.dryRun ? 0 : REST,
          tell,
        };
        const marks: Marks = new Map();
        const sum = await prunePass(db, rules, marks, how)
          .catch((error: unknown) => {
            if (error instanceof NotOurTurn)
              throw new Complaint('another process removes old contents right now: wait for it, then run again');
            throw error;
          })
          .finally(() => progress.end());
        io.out(`${tellSum(sum, options.dryRun === true)}\n`);
        const held = options.confirm ? undefined : await heldNow(db, policy);
        if (held) io.err(`${held.text}\n`);
      });
    });

/** What contents of webhooks without days of their own go by. Days that are given are meant, and so is all that is confirmed. */
async function policyOf(
  db: Db,
  { retentionDays, pruneForeign }: Config,
  given: number | undefined,
  { confirm: confirmed = false, dryRun = false }: Options,
): Promise<Policy> {
  const set = { days: retentionDays, foreign: pruneForeign };
  const own = retentionDays > 0 ? set : undefined;
  const meant = !confirmed ? undefined : dryRun ? (own ?? (await readPolicies(db)).wanted) : await confirm(db, own);
  if (given !== undefined) return { ...set, days: given };
  return meant ?? agreedPolicy(db, set);
}

/** The rule of one webhook: `days` if they were given, else those of its settings. */
function ofOne(rules: readonly Rule[], whId: number, days: number | undefined): Rule[] {
  const mine = rules.find(({ which, whids }) => whids.has(whId) === (which === 'of'));
  const kept = days ?? mine?.days;
  return kept === undefined ? [] : [{ days: kept, which: 'of', whids: new Set([whId]) }];
}

function tellSum({ contents, kept, foreign }: Sum, dry: boolean): string {
  const notes = [
    ...(kept > 0 ? [`${kept} old ones stay, as a consumer has yet to get them`] : []),
    ...(foreign > 0
      ? [`${foreign} stay, as other applications inserted them (PRUNE_FOREIGN=1 removes those too)`]
      : []),
  ];
  return [`${contents} contents ${dry ? 'would be' : 'were'} removed`, ...notes].join('; ');
}
