// Why a database cannot be opened or cannot be written to, in words that an operator can act on: one line for each cause.
import type { Cause } from '../../observe/incidents.ts';
import { FAILURES, StoreError } from '../db.ts';

type Rule = readonly [code: string, which: RegExp, found: string, fix: string];

// By the codes of the system, the driver and the servers, and SQLITE_n for those of SQLite; or by a code and the message after it,
// where one code has several causes. The first rule that fits counts.
const RULES: readonly Rule[] = [
  [
    'host-unknown',
    /^(ENOTFOUND|EAI_\w+)$/,
    'the name of its host is not known',
    'Correct the host in DATABASE_URL, or the DNS.',
  ],
  [
    'refused',
    /^ECONNREFUSED$/,
    'nothing listens on that host and port',
    'Start the database, or correct host and port; a database that listens on 127.0.0.1 alone needs bind_address.',
  ],
  [
    'not-mysql',
    /^(NOT_MYSQL|HANDSHAKE_UNKNOWN_ERROR|ERR_OUT_OF_RANGE)$/,
    'what answers on that host and port is no MySQL or MariaDB',
    'Correct host and port in DATABASE_URL: MySQL and MariaDB listen on 3306 by default.',
  ],
  [
    'no-answer',
    /^NO_GREETING$/,
    'something takes the connection on that host and port, and says nothing',
    'Correct host and port in DATABASE_URL if it is another program, such as PostgreSQL or a web server. If it is the database, it hangs or is stopped: look at its process and its disk.',
  ],
  [
    'no-answer',
    /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|PROTOCOL_SEQUENCE_TIMEOUT)$/,
    'it does not answer in time',
    'Look whether a firewall drops the packets, whether the database hangs (its disk may be full), and which connection locks the table: SHOW FULL PROCESSLIST.',
  ],
  [
    'tls',
    /^HANDSHAKE_NO_SSL_SUPPORT$/,
    'it offers no TLS, and DATABASE_URL asks for it',
    'Switch TLS on at the database, or take ?ssl= away from DATABASE_URL where the way to it is private.',
  ],
  [
    'tls',
    /^HANDSHAKE_SSL_ERROR .*expired/,
    'no TLS connection comes about: its certificate has expired',
    'Renew it at the database and restart it there, or FLUSH SSL (MySQL: ALTER INSTANCE RELOAD TLS). Until then ?ssl=skip-verify believes any certificate.',
  ],
  [
    'tls',
    /^HANDSHAKE_SSL_ERROR .*(altnames|does not match)/,
    'no TLS connection comes about: its certificate is for another host name',
    'Use a name of the certificate as the host in DATABASE_URL, or give the database a certificate for this one. ?ssl=skip-verify believes any certificate.',
  ],
  [
    'tls',
    /^HANDSHAKE_SSL_ERROR .*(self.signed|issuer|first certificate|unable to verify)/,
    'no TLS connection comes about: this machine does not trust the authority of its certificate',
    'NODE_EXTRA_CA_CERTS=/path/ca.pem adds the authority; ?ssl=true asks for TLS, ?ssl=skip-verify believes any certificate.',
  ],
  [
    'tls',
    /^(3159|1045 .*insecure transport)/,
    'it takes connections by TLS alone',
    'Ask for TLS in DATABASE_URL: ?ssl=true, or ?ssl=skip-verify where its certificate cannot be verified.',
  ],
  [
    'tls',
    /^(HANDSHAKE_SSL_ERROR|\w*CERT\w*|ERR_TLS\w*|ERR_SSL\w*)$/,
    'no TLS connection comes about',
    'Give the database a certificate for its host name that this machine trusts (NODE_EXTRA_CA_CERTS=/path/ca.pem adds an authority); ?ssl=true asks for TLS, ?ssl=skip-verify believes any certificate.',
  ],
  [
    'account',
    /^(1820|1862)$/,
    'the password of the account has expired',
    'As an administrator: ALTER USER … IDENTIFIED BY …, and ALTER USER … PASSWORD EXPIRE NEVER for the account of a service.',
  ],
  [
    'account',
    /^(3118|3955|4150|4151)$/,
    'the account is locked',
    'As an administrator: ALTER USER … ACCOUNT UNLOCK (on MariaDB after too many wrong passwords: FLUSH PRIVILEGES).',
  ],
  [
    'account',
    /^(1251|1524|2059|AUTH_SWITCH_PLUGIN_ERROR|MYSQL_CLEAR_PASSWORD_NOT_ENABLED)$/,
    'the account signs in by a plugin that cannot be used here',
    'Give it a password as others have: ALTER USER … IDENTIFIED BY … On MySQL WITH caching_sha2_password, on MariaDB IDENTIFIED VIA mysql_native_password.',
  ],
  [
    'sign-in',
    /^(1045|1698)$/,
    'it does not accept user and password',
    'Correct them in DATABASE_URL (special characters as percent codes), or set the password: ALTER USER … IDENTIFIED BY … An account that must use TLS (REQUIRE SSL), or every account where the server has require_secure_transport, is refused in the same words: ?ssl=true asks for TLS. An account that signs in by unix_socket or gssapi needs a password instead.',
  ],
  [
    'rights',
    /^1044$/,
    'the account has no right to that database, or there is none of that name',
    'Correct the name in DATABASE_URL, or as an administrator run what restante migrate --grants USER@HOST prints.',
  ],
  [
    'rights',
    /^(1142|1143|1227|1370)$/,
    'the account lacks a right',
    'As an administrator run what restante migrate --grants USER@HOST prints.',
  ],
  [
    'no-database',
    /^1049$/,
    'there is no database of that name',
    'Correct the name in DATABASE_URL, or CREATE DATABASE it.',
  ],
  [
    'hourly-limit',
    /^1226 .*'(max_\w+_per_hour|max_questions|max_updates)'/,
    'the account has used up what it may do in an hour',
    'As an administrator: ALTER USER … WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0. It goes on by itself when the hour is over.',
  ],
  [
    'no-connections',
    /^(1203|1226)$/,
    'the account has no connection left',
    'As an administrator raise what the account may have (ALTER USER … WITH MAX_USER_CONNECTIONS 25), or max_user_connections of the server. Restante takes up to 21, and fewer where the account may have fewer; other programs with this account take theirs. DATABASE_CONNECTIONS sets how many.',
  ],
  [
    'no-connections',
    /^1040$/,
    'it has no connection left',
    'Raise max_connections; each process of Restante takes up to 21. DATABASE_CONNECTIONS sets how many.',
  ],
  [
    'host-blocked',
    /^1129$/,
    'it has blocked this host after too many failed connections',
    'As an administrator: FLUSH HOSTS (MySQL 8.4 and later: TRUNCATE TABLE performance_schema.host_cache), and raise max_connect_errors.',
  ],
  [
    'host-blocked',
    /^1130$/,
    'it accepts no connections from this host',
    "As an administrator: CREATE USER for this host, or for all: 'restante'@'%'.",
  ],
  [
    'init-connect',
    /^1184$/,
    'the init_connect of the server fails, and so it ends each connection',
    "Correct it, as an administrator: SELECT @@init_connect shows it, SET GLOBAL init_connect = '' removes it.",
  ],
  [
    'offline',
    /^3032$/,
    'it is in offline mode, in which it takes administrators alone',
    'When its maintenance is over: SET GLOBAL offline_mode = OFF',
  ],
  [
    'disk-full',
    /^(1021|1114|3|SQLITE_13)$/,
    'its disk, or the room for its tables, is full',
    'Free space on the disk of the database; storing goes on by itself then. restante prune removes what is old.',
  ],
  [
    'read-only',
    /^(1290|1792|1836|SERVER_IS_READ_ONLY|SQLITE_8)$/,
    'it is read-only',
    'Is DATABASE_URL a replica, or a failover under way? On the primary: SET GLOBAL read_only = 0.',
  ],
  [
    'statement-binlog',
    /^166[1-7]$/,
    'its binary log takes statements, where rows are needed: binlog_format is STATEMENT',
    "SET GLOBAL binlog_format = 'ROW', and binlog_format = ROW in the server's configuration file; storing goes on by itself then.",
  ],
  [
    'content-column',
    /^(CONTENT_CHANGED|1300|1366|1406|3854)$/,
    'the column does not hold these bytes',
    'restante doctor tells whether tblwh.content is as it was made: ALTER TABLE tblwh MODIFY content LONGTEXT CHARACTER SET latin1 NOT NULL',
  ],
  [
    'packet',
    /^1153$/,
    'a content is longer than its max_allowed_packet',
    "Raise it: SET GLOBAL max_allowed_packet = 67108864, and max_allowed_packet = 64M in the server's configuration file; then restart Restante.",
  ],
  [
    'two-servers',
    /^TWO_SERVERS$/,
    'several servers answer by turns, as behind a proxy that sends reads to replicas',
    'Let DATABASE_URL lead to the primary alone.',
  ],
  [
    'failover',
    /^(1047|3100|ANOTHER_SERVER)$/,
    'another of its servers may be the primary now',
    'It goes on by itself. If this lasts, look at the cluster, and where the name in DATABASE_URL leads.',
  ],
  ['ids-used-up', /^IDS_USED_UP$/, 'no id of tblwh is left', 'restante doctor tells what to do.'],
  [
    'schema-changed',
    /^(1054|1146|1364)$/,
    'another application or an operator has changed the tables',
    'A column that another application adds to tblwh needs a default value. restante migrate --check tells whether a table of ours is missing.',
  ],
  [
    'locked',
    /^(1205|1213|SQLITE_5|SQLITE_6)$/,
    'another connection holds a lock for too long',
    'Look for a long transaction, LOCK TABLES or a schema change: SHOW FULL PROCESSLIST.',
  ],
  [
    'no-statements',
    /^1461$/,
    'it takes no more prepared statements',
    'Raise max_prepared_stmt_count; each process of Restante takes up to 6000.',
  ],
  [
    'shutting-down',
    /^(1053|1927|4031|ECONNRESET|EPIPE|PROTOCOL_CONNECTION_LOST)$/,
    'it ended the connection',
    'It is being stopped or restarted, or a proxy before it cuts connections: its own log says which. If it never answers there, correct host and port in DATABASE_URL.',
  ],
  [
    'file',
    /^(SQLITE_14|SQLITE_CANTOPEN)$/,
    'the file cannot be opened',
    'Run as the user that the service runs as, and look at the rights of the file and its folder.',
  ],
  [
    'disk',
    /^(1030|SQLITE_10)$/,
    'its disk fails',
    'Look at the free space and the health of the disk, and at the log of the system.',
  ],
  [
    'damaged',
    /^SQLITE_(11|26)$/,
    'the file is damaged, or no SQLite database',
    'Put a backup in its place, or correct DATABASE_URL.',
  ],
];

/** Every word that a Cause may have as its code. */
export const CAUSES: readonly string[] = [...new Set([...RULES.map(([code]) => code), ...FAILURES])];

/** The codes that an error and its causes carry, and each of them with its message. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, errno, errcode, message } = at as Error & { code?: unknown; errno?: unknown; errcode?: unknown };
    const sqlite = typeof errcode === 'number' ? `SQLITE_${errcode & 0xff}` : undefined;
    for (const one of [code, errno, sqlite]) if (one !== undefined) codes.push(String(one), `${one} ${message}`);
  }
  return codes;
}

/** Causes for which a database can be read and not written to, as a sender may be told them. */
const READ_ONLY: Readonly<Record<string, string>> = {
  'disk-full': 'The disk of the database is full',
  'read-only': 'The database is read-only now',
  'statement-binlog': 'The binary log of the database takes no rows',
};
/** In a few words, why the database can only be read; undefined for every other error. */
export const onlyReadable = (error: unknown): string | undefined => READ_ONLY[causeOf(error)?.code ?? ''];

/** Of a database that has not answered yet. */
export const noAnswer = (seconds: number): StoreError =>
  new StoreError('away', Object.assign(new Error(`no answer for ${seconds} s`), { code: 'ETIMEDOUT' }));

/** Undefined for an error that is no failure of the database. */
export function causeOf(error: unknown): Cause | undefined {
  if (!(error instanceof StoreError)) return undefined;
  const codes = codesOf(error);
  const rule = RULES.find(([, which]) => codes.some((code) => which.test(code)));
  const [unknown, todo] =
    error.failure === 'data'
      ? [
          'a rule of its tables refuses this content: a constraint, a trigger, a generated column or an index',
          'restante doctor names the rules of other applications on tblwh. Take away the one that is named here, or let it pass such contents; the sender tries again.',
        ]
      : ['it cannot be used', 'Look at its own log.'];
  const [code = error.failure, , found = unknown, fix = todo] = rule ?? [];
  return { code, found: `${found} (${error.message})`, fix };
}
