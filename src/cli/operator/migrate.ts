// restante migrate: adds our tables to a MySQL database, and tells beforehand what it will do.
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { parseMysqlUrl } from '../../config/database-url.ts';
import type { Db } from '../../store/db.ts';
import {
  currentAccount,
  grantStatements,
  quotedAccount,
  sightStatements,
  userStatement,
} from '../../store/migrate/grants.ts';
import {
  addIndex,
  backfill,
  dropOurs,
  estimate,
  INDEX,
  inspect,
  isExtended,
  migrate,
  pending,
  type SchemaState,
} from '../../store/migrate/migrate.ts';
import { BASE } from '../../store/migrate/steps.ts';
import { MissingTables } from '../../store/open.ts';
import { Complaint, createProgress, type Io } from '../io.ts';
import { withDb } from '../open.ts';
import { configOf, verb } from '../verb.ts';

interface Options {
  readonly createBase?: boolean;
  readonly index?: boolean;
  readonly check?: boolean;
  readonly print?: boolean;
  readonly grants?: string | boolean;
  readonly remove?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
}

// Seen on one core: an index over 1,000,000 rows takes a few seconds. Told as a rough guess only.
const ROWS_PER_SECOND = 200_000;
const BYTES_PER_INDEX_ROW = 24;

export const migrateCommand = (io: Io): Command =>
  verb({
    name: 'migrate',
    summary: 'Add the restante_* tables. The three shared tables are never changed.',
    examples: [
      'restante migrate --check --database-url mysql://root@db/app   what is missing? exit code 1 if anything is',
      'restante migrate --print                                     the SQL, to be read or run by hand',
      'restante migrate                                             add our tables; safe to run again',
      'restante migrate --create-base --index                       also make tbluser, tblwhid, tblwh on an empty database',
      'restante migrate --index                                     add the index on tblwh(user_id, wh_id, id)',
      "restante migrate --grants \"'restante'@'10.0.0.%'\"            the least rights for the account that serves",
    ],
    settings: ['databaseUrl'],
    fails: 'with --check something is missing',
  })
    .option('--create-base', 'make the three shared tables too; only on a database that has none of them')
    .option('--index', 'add the index that lists need on a large tblwh; other applications go on writing')
    .option('--check', 'only say what is missing')
    .option('--print', 'only print the SQL that would be run')
    .option('--grants [account]', 'print the GRANT statements for the serving account; default: that of DATABASE_URL')
    .option('--remove', 'drop the restante_* tables; contents and webhooks of the shared tables stay')
    .option('--yes', 'with --remove: yes, drop them')
    .option('--force', 'with --index: also on a Galera cluster, where DDL stops all nodes')
    .action(async (options: Options) => {
      const config = configOf(io, options);
      const mode = modeOf(options);
      const makes = mode === undefined || mode === 'createBase';
      if (mode !== 'grants') return withDb(config, (db) => act(io, db, options), { makes });
      // Before the database is opened: a mistyped account must not end in a migration.
      const account = typeof options.grants === 'string' ? accountOf(options.grants) : undefined;
      if (config.databaseUrl.startsWith('sqlite:'))
        throw new Complaint('SQLite has no accounts: --grants is for MySQL', 2);
      await withDb(config, (db) => tellGrants(io, config, db, account));
    });

/** Only one of these at a time has a meaning; none of them is the migration itself. */
const MODES = ['check', 'print', 'grants', 'remove', 'index', 'createBase'] as const;
type Mode = (typeof MODES)[number];
const flagOf = (mode: Mode): string => (mode === 'createBase' ? '--create-base' : `--${mode}`);

function modeOf(options: Options): Mode | undefined {
  const given = MODES.filter((mode) => options[mode] !== undefined);
  // --print also prints the SQL of --create-base and of --index.
  const modes = given.includes('print') ? given.filter((mode) => mode !== 'createBase' && mode !== 'index') : given;
  // On an empty database the index takes no time.
  if (String(modes) === 'index,createBase') return 'createBase';
  if (modes.length > 1) throw new Complaint(`${modes.map(flagOf).join(' and ')}: give one of them at a time`, 2);
  return modes[0];
}

async function act(io: Io, db: Db, options: Options): Promise<void> {
  const state = await inspect(db, db.kind);
  if (options.remove) return remove(io, db, options.yes === true);
  if (state.base.length > 0 && state.base.length < Object.keys(BASE).length) throw new MissingTables(state.base);
  const steps = pending(state, db.kind, options.createBase === true);
  const wantsIndex = options.index === true && !state.indexed;
  if (options.print)
    return [...steps, ...(wantsIndex ? [INDEX[db.kind]] : [])].forEach((sql) => void io.out(`${sql};\n`));
  if (options.check) return check(io, db, state);
  if (state.base.length === 0 && !options.createBase) throw new MissingTables(state.base);
  if (options.index && !options.createBase) return index(io, db, state, options.force === true);
  await migrate(db, options.createBase === true, (line) => io.err(`${line}\n`));
  const rows = await positions(io, db);
  const told = rows > 0 ? `, ${rows} contents got their place in the order of consumers` : '';
  io.out(
    `${db.version}: ${steps.length === 0 && rows === 0 ? 'nothing to do, all tables are there' : 'done'}${told}\n`,
  );
  if (options.index) await index(io, db, await inspect(db, db.kind), options.force === true);
}

/** Gives a position to contents that are older than our tables. Other applications go on writing, and a service may run. */
async function positions(io: Io, db: Db): Promise<number> {
  const progress = createProgress(io, 'positions');
  try {
    return await backfill(db, ({ rows, share }) => progress.at(share, `${rows} contents`));
  } finally {
    progress.end();
  }
}

function check(io: Io, db: Db, state: SchemaState): void {
  const missing = [
    ...(state.base.length === 0
      ? ['tbluser, tblwhid, tblwh: restante migrate --create-base, or point DATABASE_URL at the right database']
      : []),
    ...(isExtended(state)
      ? []
      : ['the restante_* tables: restante migrate. Until then only the five classic calls work']),
  ];
  io.out(`${db.version}\n${missing.map((line) => `missing: ${line}\n`).join('')}`);
  io.out(state.indexed ? '' : 'advised: the index tblwh(user_id, wh_id, id): restante migrate --index\n');
  if (missing.length > 0) throw new Complaint('not everything is there', 1);
  io.out('all tables are there\n');
}

async function index(io: Io, db: Db, state: SchemaState, force: boolean): Promise<void> {
  if (state.indexed) {
    io.out('the index is there\n');
    return;
  }
  const { rows, galera } = await estimate(db);
  if (galera && !force)
    throw new Complaint(
      'this is a Galera cluster: DDL stops writes on all nodes while it runs. Choose a quiet hour and add --force',
    );
  const seconds = Math.ceil(rows / ROWS_PER_SECOND);
  io.err(
    `about ${rows} rows: roughly ${seconds} s and ${Math.ceil((rows * BYTES_PER_INDEX_ROW) / 1e6)} MB; other applications go on writing\n`,
  );
  const began = performance.now();
  const done = await addIndex(db, (line) => io.err(`${line}\n`));
  if (!done) throw new Complaint('a long transaction holds tblwh: nothing was changed. Try again in a quiet hour');
  io.out(`the index is there now, after ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}

async function remove(io: Io, db: Db, yes: boolean): Promise<void> {
  if (!yes)
    throw new Complaint(
      'this drops our tables: URLs and settings of webhooks made here, request lines and headers, refusals. Contents stay in tblwh. If that is what you want, add --yes',
    );
  await dropOurs(db);
  io.out('removed; the database is at the as-is level again\n');
}

// --grants: the rights of the account that serves, and of verbs that need more ---------------------------------------

const NAMED = /^(?:'([^'\\]+)'|([\w.-]+))(?:@(?:'([^'\\]+)'|([\w.%:/-]+)))?$/;

/** As MySQL wants it, quoted or not: `restante@10.0.0.%`. Without a host it is an account for every host. */
function accountOf(text: string): string {
  const [, quotedName, name, quotedHost, host] = NAMED.exec(text) ?? [];
  const user = quotedName ?? name;
  if (user === undefined) throw new Complaint("--grants: the account must look like 'restante'@'10.0.0.%'", 2);
  return quotedAccount(user, quotedHost ?? host ?? '%');
}

/** `named`: undefined for the account of DATABASE_URL. Statements go to standard output, the words around them to standard error. */
async function tellGrants(io: Io, config: Config, db: Db, named: string | undefined): Promise<void> {
  const database = parseMysqlUrl(config.databaseUrl).database;
  const account = named ?? (await currentAccount(db));
  for (const sql of grantStatements(database, account)) io.out(`${sql};\n`);
  io.err(
    named === undefined
      ? `\nThis is the account of DATABASE_URL. For another one: restante migrate --grants "'restante'@'10.0.0.%'"\n`
      : `\nIf there is no such account yet, first: CREATE USER ${account} IDENTIFIED BY 'a long password'\n`,
  );
  io.err('\nAdvised, on the whole server: it then sees who is writing, and lists never skip (docs/promises.md):\n');
  for (const sql of sightStatements(db.dialect, database, account)) io.err(`${sql};\n`);
  io.err(`
These verbs need more:
  restante migrate, but for --check, --print and --grants: the account of an administrator
  restante user, add, rotate and delete with --write-tbluser: ${userStatement(database, account)}
`);
}
