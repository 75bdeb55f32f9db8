// The doctor's checks of a MySQL or MariaDB server: version, rights, durability, modes, sizes, clock and connections.
import { flawOf } from '../../store/contents.ts';
import { LEAST_VALUE_BYTES, mostBodyBytes } from '../../store/db.ts';
import type { ServerFacts } from '../../store/doctor.ts';
import { CONNECTIONS } from '../../store/engine/budget.ts';
import { type Check, type CheckResult, fail, isOlder, ok, warn } from './check.ts';
import type { Facts } from './facts.ts';

const inFile = (setting: string) => `, and ${setting} in the server's configuration file`;

/** A check of servers alone. */
const onServer = (
  name: string,
  fix: string,
  judge: (server: ServerFacts, facts: Facts) => CheckResult | undefined,
): Check => ({
  name,
  fix,
  judge: (facts) => (facts.database?.server ? judge(facts.database.server, facts) : undefined),
});

const LEAST = { MariaDB: [10, 6, 0], MySQL: [8, 0, 22] } as const;
const version = onServer(
  'version',
  'Use MySQL 8.0.22 or later, or MariaDB 10.6 or later.',
  ({ says }, { database }) => {
    const [name = '', numbers = ''] = (database?.version ?? '').split(' ');
    if (/tidb|vitess/i.test(says)) return fail(`${says}: its ids are not given in the order of time.`);
    const least = LEAST[name as keyof typeof LEAST] ?? LEAST.MySQL;
    if (isOlder(numbers, least)) return fail(`${says} is older than ${name} ${least.join('.')}.`);
    return ok(`${says} is supported.`);
  },
);

const rights = onServer(
  'rights',
  'As an administrator run what restante migrate --grants prints.',
  ({ missing }, { database, config }) => {
    // Without the tables there are no rights on them.
    if (database?.state.base.length === 0) return undefined;
    if (missing.length === 0)
      return ok(`The account has the rights of the ${database?.extended ? 'extended' : 'as-is'} level.`);
    const found = `The account lacks ${missing.map(({ right }) => right).join(', ')}.`;
    const fix = `As an administrator: ${missing.map(({ grant }) => grant).join('; ')}`;
    return config.retentionDays === 0 && missing.every(({ toRemove }) => toRemove)
      ? warn(`${found} Contents cannot be removed; everything else works.`, fix)
      : fail(found, fix);
  },
);

const writable = onServer(
  'primary',
  'Point DATABASE_URL at the primary. To make this server one: SET GLOBAL read_only = OFF',
  ({ variables, replica }) => {
    const on = ['read_only', 'super_read_only'].filter((name) => /^(ON|1)$/.test(variables.get(name) ?? ''));
    if (on.length > 0) return fail(`${on.join(' and ')} is on: nothing can be stored here, and lists wait.`);
    if (replica)
      return warn(
        'This server replicates from another one: what is written here is not there.',
        'Point DATABASE_URL at the primary.',
      );
    return ok(
      `It takes writes${replica === undefined ? '; whether it is a replica this account may not know' : ', and is no replica'}.`,
    );
  },
);

const proxy = onServer(
  'proxy',
  'Let DATABASE_URL lead to the primary itself: a proxy that shares connections or splits reads breaks locks and promises.',
  ({ proxy: signs, split }) => {
    if (signs.length === 0) return ok('There is no sign of a SQL proxy or a balancer in between (a guess).');
    const found = `A SQL proxy or a balancer seems to stand in between: ${signs.join(', and ')}.`;
    return split ? fail(found) : warn(`${found} This is a guess.`);
  },
);

const durability = onServer(
  'durability',
  'SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL sync_binlog = 1',
  ({ unsafe, variables }, { database, config }) => {
    if (unsafe.length > 0) {
      const found = `${unsafe.map((one) => one.found).join('. ')}.`;
      const fix = unsafe.map((one) => one.fix).join('; ');
      if (!database?.extended) return warn(found, fix);
      return config.allowUnsafeDurability
        ? warn(`${found} ALLOW_UNSAFE_DURABILITY lets restante serve start all the same.`, fix)
        : fail(`${found} restante serve does not start.`, fix);
    }
    if (/^(OFF|0)$/.test(variables.get('innodb_doublewrite') ?? ''))
      return warn(
        'innodb_doublewrite is off: unless the file system writes pages whole (ZFS does), a power failure can damage tables.',
        "innodb_doublewrite = ON in the server's configuration file, and a restart of the server.",
      );
    return ok('A commit that was answered is on disk.');
  },
);

const binlog = onServer(
  'binlog',
  `SET GLOBAL binlog_format = 'ROW'${inFile('binlog_format = ROW')}`,
  ({ variables, unwritable }) =>
    unwritable
      ? fail(`${unwritable.found}.`)
      : ok(/^(ON|1)$/.test(variables.get('log_bin') ?? '') ? 'The binary log takes rows.' : 'There is no binary log.'),
);

const session = onServer(
  'session',
  'Let DATABASE_URL lead to the server itself, or let the proxy pass on SET SESSION.',
  ({ notTaken }) => {
    if (notTaken.length === 0) return ok('Each connection sets its own session, whatever the server has set.');
    const found = `A connection of ours does not have what it has set: ${notTaken.map(({ text }) => text).join(', ')}.`;
    return notTaken.some(({ must }) => must)
      ? fail(found)
      : warn(found, 'Allow the account to set it for its session.');
  },
);

const sqlMode = onServer(
  'sql-mode',
  `SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'${inFile('sql_mode')}`,
  ({ variables }) =>
    /\bSTRICT_(TRANS|ALL)_TABLES\b/.test(variables.get('sql_mode') ?? '')
      ? ok('sql_mode is strict.')
      : warn(
          'sql_mode of the server is not strict: what other applications store is cut where it does not fit a column. Connections of Restante are strict.',
        ),
);

const columns = onServer(
  'columns',
  'Make them as they were, in agreement with the applications that share them: restante migrate --create-base --print shows how.',
  ({ engines, content, undefaulted }) => {
    const others = Object.entries(engines).filter(
      // A view over another table of users will do.
      ([table, engine]) => engine !== 'InnoDB' && !(table === 'tbluser' && engine === ''),
    );
    const { type, charset } = content;
    if (type === '') return undefined;
    if (others.length > 0)
      return fail(
        `${others.map(([table, engine]) => `${table} is ${engine}`).join(', ')}: not transactional, a crash loses rows.`,
        others.map(([table]) => `ALTER TABLE ${table} ENGINE = InnoDB`).join('; '),
      );
    if (undefaulted.length > 0)
      return fail(
        `${undefaulted.join(', ')}: another application has added it without a default value, so a row of Restante is refused.`,
        `With a value that the application takes: ${undefaulted.map((name) => `ALTER TABLE ${name.replace('.', ' ALTER COLUMN ')} SET DEFAULT …`).join('; ')}`,
      );
    const flaw = flawOf(content);
    if (flaw) return fail(flaw.found, flaw.fix);
    return ok(`The shared tables are InnoDB, tblwh.content is ${type}, ${charset ?? 'bytes'}: any bytes fit.`);
  },
);

const packet = onServer(
  'packet',
  `SET GLOBAL max_allowed_packet = 67108864${inFile('max_allowed_packet = 64M')}; then restart Restante.`,
  (_server, { config, database }) => {
    const maxValueBytes = database?.maxValueBytes ?? 0;
    if (maxValueBytes < LEAST_VALUE_BYTES)
      return fail(
        `max_allowed_packet is ${maxValueBytes}, and restante serve does not start with less than ${LEAST_VALUE_BYTES}.`,
      );
    const most = mostBodyBytes({ maxValueBytes });
    return most < config.maxBodyBytes
      ? warn(`max_allowed_packet allows bodies of ${most} bytes, MAX_BODY_BYTES is ${config.maxBodyBytes}.`)
      : ok(`max_allowed_packet has room for MAX_BODY_BYTES, ${config.maxBodyBytes}.`);
  },
);

const clock = onServer(
  'clock',
  'Run an NTP client on both machines, and look at it: timedatectl, or chronyc tracking',
  ({ skewMs, skewWithinMs }) => {
    const off = Math.abs(skewMs);
    const found = `The database's clock is ${off} ms ${skewMs < 0 ? 'behind' : 'ahead of'} ours (within ${skewWithinMs} ms).`;
    // Without the time that the way there and back may account for.
    const sure = off - skewWithinMs;
    return sure > 5_000 ? fail(found) : sure > 1_000 ? warn(found) : ok(found);
  },
);

const LEAST_WAIT_S = 60;
const timeouts = onServer(
  'timeouts',
  `SET GLOBAL idle_write_transaction_timeout = 60${inFile('idle_write_transaction_timeout = 60')}`,
  ({ variables }) => {
    const wait = Number(variables.get('wait_timeout') ?? 28_800);
    if (wait < LEAST_WAIT_S)
      return warn(
        `wait_timeout is ${wait} s: connections of other applications that rest for longer are closed. Those of Restante set their own.`,
        `SET GLOBAL wait_timeout = 28800${inFile('wait_timeout = 28800')}`,
      );
    const idle = ['idle_write_transaction_timeout', 'idle_transaction_timeout'].flatMap(
      (name) => variables.get(name) ?? [],
    );
    if (idle.length === 0)
      return ok('MySQL ends no forgotten transaction by itself: the log names the connection that holds up lists.');
    if (idle.every((value) => value === '0'))
      return warn('A transaction that another application forgets to end holds up the lists of all users.');
    return ok(`Forgotten transactions end after ${idle.filter((value) => Number(value) > 0).join(' or ')} s.`);
  },
);

const connections = onServer(
  'connections',
  `Raise it: SET GLOBAL max_connections = 500${inFile('max_connections = 500')}`,
  ({ variables, connected, wanted, account }) => {
    const most = Number(variables.get('max_connections') ?? 0);
    if (account.may > 0 && account.may <= CONNECTIONS)
      return warn(
        `The account may have ${account.may} connections and has ${account.connected}, with this check; a process of Restante takes up to ${wanted} of them, and uses ${CONNECTIONS} where it may: everything works, and calls wait for each other.`,
        `As an administrator: ALTER USER … WITH MAX_USER_CONNECTIONS ${2 * CONNECTIONS}, or a higher max_user_connections of the server. Where other programs use this account, DATABASE_CONNECTIONS sets how many they leave.`,
      );
    const found = `${connected} of ${most} connections are open; a process of Restante takes up to ${wanted}.`;
    return most > 0 && most - connected < wanted ? warn(found) : ok(found);
  },
);

export const SERVER_CHECKS = [
  version,
  rights,
  writable,
  proxy,
  durability,
  binlog,
  session,
  sqlMode,
  columns,
  packet,
  clock,
  timeouts,
  connections,
] as const;
