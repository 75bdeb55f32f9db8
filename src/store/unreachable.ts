// Why a database cannot be opened, in words an operator can act on: name, port, TLS, account, database.
import { StoreError } from './db.ts';

export interface Unreachable {
  readonly found: string;
  readonly fix: string;
}

type Rule = readonly [which: RegExp, found: string, fix: string];

// By the codes of the system, the driver and the servers; the first that fits.
const RULES: readonly Rule[] = [
  [/^(ENOTFOUND|EAI_\w+)$/, 'the name of its host is not known', 'Correct the host in DATABASE_URL, or the DNS.'],
  [
    /^ECONNREFUSED$/,
    'nothing listens on that host and port',
    'Start the database, or correct host and port; a database that listens on 127.0.0.1 alone needs bind_address.',
  ],
  [
    /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|PROTOCOL_SEQUENCE_TIMEOUT)$/,
    'it does not answer in time',
    'Look whether a firewall drops the packets, and whether the database hangs.',
  ],
  [
    /^HANDSHAKE_NO_SSL_SUPPORT$/,
    'it offers no TLS, and DATABASE_URL asks for it',
    'Switch TLS on at the database, or take ?ssl= away from DATABASE_URL where the way to it is private.',
  ],
  [
    /^(HANDSHAKE_SSL_ERROR|\w*CERT\w*|ERR_TLS\w*|ERR_SSL\w*|3159)$/,
    'no TLS connection comes about',
    'Give the database a certificate for its host name that this machine trusts (NODE_EXTRA_CA_CERTS=/path/ca.pem adds an authority); ?ssl=true asks for TLS, ?ssl=skip-verify believes any certificate.',
  ],
  [
    /^(1045|1698|1251|2059|AUTH_SWITCH_PLUGIN_ERROR|ER_MUST_CHANGE_PASSWORD_LOGIN)$/,
    'it does not accept user and password',
    'Correct them in DATABASE_URL (special characters as percent codes), or set the password: ALTER USER … IDENTIFIED BY …',
  ],
  [
    /^1044$/,
    'the account has no right to that database',
    'As an administrator run what restante migrate --grants prints.',
  ],
  [/^1049$/, 'there is no database of that name', 'Correct the name in DATABASE_URL, or CREATE DATABASE it.'],
  [
    /^(1040|1203|1226)$/,
    'it has no connection left',
    'Raise max_connections, or max_user_connections of the account; each process of Restante takes up to 18.',
  ],
  [
    /^(1129|1130)$/,
    'it accepts no connections from this host',
    'FLUSH HOSTS after too many errors; otherwise CREATE USER for this host.',
  ],
  [
    /^(14|SQLITE_CANTOPEN)$/,
    'the file cannot be opened',
    'Run as the user that the service runs as, and look at the rights of the file and its folder.',
  ],
  [/^(11|26)$/, 'the file is damaged, or no SQLite database', 'Put a backup in its place, or correct DATABASE_URL.'],
];

/** The codes that an error and its causes carry. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, errno, errcode } = at as { code?: unknown; errno?: unknown; errcode?: unknown };
    for (const one of [code, errno, typeof errcode === 'number' ? errcode & 0xff : undefined])
      if (one !== undefined) codes.push(String(one));
  }
  return codes;
}

/** Undefined for what is no failure of the database. */
export function whyUnreachable(error: unknown): Unreachable | undefined {
  if (!(error instanceof StoreError)) return undefined;
  const codes = codesOf(error);
  const rule = RULES.find(([which]) => codes.some((code) => which.test(code)));
  const [, found = 'it cannot be used', fix = 'Look at its own log.'] = rule ?? [];
  return { found: `${found} (${error.message})`, fix };
}
