// Why a database cannot be opened or cannot be written to, in words that an operator can act on: one line for each cause.
import type { Cause } from '../../observe/incidents.ts';
import { FAILURES, StoreError } from '../db.ts';

type Rule = readonly [code: string, which: RegExp, found: string, fix: string];

// By the codes of the system, the driver and the servers, and SQLITE_n for those of SQLite; the first rule that fits counts.
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
    /^(HANDSHAKE_SSL_ERROR|\w*CERT\w*|ERR_TLS\w*|ERR_SSL\w*|3159)$/,
    'no TLS connection comes about',
    'Give the database a certificate for its host name that this machine trusts (NODE_EXTRA_CA_CERTS=/path/ca.pem adds an authority); ?ssl=true asks for TLS, ?ssl=skip-verify believes any certificate.',
  ],
  [
    'sign-in',
    /^(1045|1698|1251|2059|AUTH_SWITCH_PLUGIN_ERROR|ER_MUST_CHANGE_PASSWORD_LOGIN)$/,
    'it does not accept user and password',
    'Correct them in DATABASE_URL (special characters as percent codes), or set the password: ALTER USER … IDENTIFIED BY …',
  ],
  [
    'rights',
    /^1044$/,
    'the account has no right to that database',
    'As an administrator run what restante migrate --grants USER@HOST prints.',
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
    'no-connections',
    /^(1040|1203|1226)$/,
    'it has no connection left',
    'Raise max_connections, or max_user_connections of the account; each process of Restante takes up to 21.',
  ],
  [
    'host-blocked',
    /^(1129|1130)$/,
    'it accepts no connections from this host',
    'FLUSH HOSTS after too many errors; otherwise CREATE USER for this host.',
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
    'failover',
    /^(1047|3100|ANOTHER_SERVER|SERVER_CHANGED|SEVERAL_SERVERS)$/,
    'another of its servers may be the primary now',
    'It goes on by itself. If this lasts, DATABASE_URL leads to several servers by turns: it must lead to the primary alone.',
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
    'It is being stopped or restarted, or a proxy before it cuts connections; its own log says which.',
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

/** The codes that an error and its causes carry. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, errno, errcode } = at as { code?: unknown; errno?: unknown; errcode?: unknown };
    const sqlite = typeof errcode === 'number' ? `SQLITE_${errcode & 0xff}` : undefined;
    for (const one of [code, errno, sqlite]) if (one !== undefined) codes.push(String(one));
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

/** Undefined for an error that is no failure of the database. */
export function causeOf(error: unknown): Cause | undefined {
  if (!(error instanceof StoreError)) return undefined;
  const codes = codesOf(error);
  const rule = RULES.find(([, which]) => codes.some((code) => which.test(code)));
  const [code = error.failure, , found = 'it cannot be used', fix = 'Look at its own log.'] = rule ?? [];
  return { code, found: `${found} (${error.message})`, fix };
}
