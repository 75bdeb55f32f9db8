// Every setting, one entry each: name, default, help, and how its text becomes its value.
import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseMysqlUrl } from './database-url.ts';

// Readers of a text: each throws a sentence that says what the value must be ----------------------------------------

const text = (value: string) => value;
function whole(min: number, max: number) {
  return (value: string): number => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Error(`must be a whole number from ${min} to ${max}`);
    return number;
  };
}
const oneOf =
  <T extends string>(...values: readonly T[]) =>
  (value: string): T => {
    if (!(values as readonly string[]).includes(value)) throw new Error(`must be one of ${values.join(', ')}`);
    return value as T;
  };
/** A flag without a value means 1. */
export function onOff(value: string): boolean {
  if (/^(1|true)$/i.test(value)) return true;
  if (/^(0|false)$/i.test(value)) return false;
  throw new Error('must be 1 or 0, or true or false');
}
const list = (value: string): string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
function databaseUrl(value: string): string {
  if (!/^sqlite:./.test(value)) parseMysqlUrl(value);
  return value;
}
function httpUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash)
    throw new Error('must be an http:// or https:// URL without query');
  return value.replace(/\/+$/, '');
}
/** A page for people: it may have a query, as no URL is computed from it. */
function linkUrl(value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
    throw new Error('must be an http:// or https:// URL');
  return new URL(value).href;
}
const upTo =
  (most: number) =>
  (value: string): string => {
    if (value.length > most) throw new Error(`must not be longer than ${most} characters`);
    return value;
  };
const MOST_IMAGE = 256 * 1024;
/** The path of an image that can be sent. */
function imageFile(path: string): string {
  if (!/\.(svg|png|jpe?g|webp)$/i.test(path)) throw new Error('must be a file that ends in .svg, .png, .jpg or .webp');
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file?.isFile()) throw new Error('must be a file that is there');
  if (file.size > MOST_IMAGE) throw new Error(`must not be larger than ${MOST_IMAGE} bytes`);
  return path;
}
/** 32 bytes, as hex. */
function key(value: string): string {
  if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
  const bytes = /^[A-Za-z0-9+/_-]{43}=?$/.test(value) ? Buffer.from(value, 'base64') : undefined;
  if (bytes?.length !== 32) throw new Error('must be 32 bytes as 64 hex digits or as base64: openssl rand -hex 32');
  return bytes.toString('hex');
}
function origin(value: string): string {
  if (httpUrl(value) !== new URL(value).origin)
    throw new Error('must be origins such as https://hooks.example.org, separated by commas');
  return value;
}
/** An address, or a CIDR network. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const most = { 4: 32, 6: 128 }[isIP(address)];
  return (
    most !== undefined && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  );
}
function network(value: string): string {
  if (!['loopback', 'linklocal', 'uniquelocal'].includes(value) && !isNetwork(value))
    throw new Error('must be addresses, CIDR networks or loopback, linklocal, uniquelocal, separated by commas');
  return value;
}
function timeZone(value: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    throw new Error('must be a time zone such as UTC or Europe/Vienna');
  }
}

// The settings ------------------------------------------------------------------------------------------------------

export interface Setting<T> {
  readonly name: string;
  /** As a person would write it; '' = not set. */
  readonly default: string;
  readonly help: string;
  readonly secret?: true;
  /** Several values with commas between them; none when it is not set. */
  readonly list?: true;
  /** Throws a sentence that says what the value must be. */
  readonly read: (text: string) => T;
}

const setting = <T>(
  name: string,
  byDefault: string,
  help: string,
  read: (text: string) => T,
  secret?: true,
): Setting<T> => ({ name, default: byDefault, help, read, ...(secret ? { secret } : {}) });

/** Undefined when it is not set. */
const optional = <T>(name: string, help: string, read: (text: string) => T, secret?: true): Setting<T | undefined> =>
  setting<T | undefined>(name, '', help, read, secret);

const listOf = <T>(name: string, help: string, read: (text: string) => T, secret?: true): Setting<T[]> => ({
  ...setting(name, '', help, (value) => list(value).map(read), secret),
  list: true,
});

const MiB = 1024 * 1024;

/** The settings, in the order in which `restante config` and docs/settings.md print them. */
export const SETTINGS = {
  databaseUrl: setting(
    'DATABASE_URL',
    'sqlite:./data/restante.db',
    'mysql://user:password@host/database (?ssl=true for TLS; host1,host2 of one cluster) or sqlite:./path. Folder 0700, files 0600.',
    databaseUrl,
    true,
  ),
  databaseConnections: optional(
    'DATABASE_CONNECTIONS',
    'Connections to MySQL or MariaDB that this process may have open. Default: 21, or one less than the account may have where that is fewer. With 2 everything works, slowly.',
    whole(1, 500),
  ),
  host: setting('HOST', '127.0.0.1', 'Address to listen on. 0.0.0.0 opens it to the network: put TLS in front.', text),
  port: setting('PORT', '4343', 'Port to listen on; 0 takes a free one.', whole(0, 65_535)),
  publicUrl: setting(
    'PUBLIC_URL',
    '',
    'The URL that providers call, with or without a path. Webhook URLs begin with it. Default http://HOST:PORT.',
    httpUrl,
  ),
  trustProxy: listOf(
    'TRUST_PROXY',
    'Addresses or networks of your reverse proxies: only their X-Forwarded-For is believed.',
    network,
  ),
  keepAliveSeconds: setting(
    'KEEP_ALIVE_SECONDS',
    '75',
    'How long an idle connection stays open. Keep it longer than the 60 s of most load balancers: else they send into a closing socket, and a webhook is lost.',
    whole(1, 3_600),
  ),
  connectionsPerAddress: setting(
    'CONNECTIONS_PER_ADDRESS',
    '2000',
    'Open connections of one address (IPv6: of its /64), and never more than half of all that the limit of open files allows; further ones are closed. TRUST_PROXY and this machine are exempt.',
    whole(1, 1_000_000),
  ),
  maxBodyBytes: setting(
    'MAX_BODY_BYTES',
    String(10 * MiB),
    'Larger bodies are refused with 413. MySQL lowers it to max_allowed_packet less a quarter of that, 1 MiB at most.',
    whole(1, 256 * MiB),
  ),
  maxPageBytes: setting(
    'MAX_PAGE_BYTES',
    String(8 * MiB),
    'Bytes of bodies at which a page of a list ends. A page has at least one content.',
    whole(1, 256 * MiB),
  ),
  corsOrigins: listOf(
    'CORS_ORIGINS',
    'Origins of other web sites whose pages may call the API, as https://app.example.org. Default: none.',
    origin,
  ),
  ratePerWebhook: optional(
    'RATE_PER_WEBHOOK',
    'Requests a second that one webhook may receive, those of ten seconds at once; further ones get 503 with Retry-After. Default: no limit.',
    whole(1, 1_000_000),
  ),
  ratePerUser: optional(
    'RATE_PER_USER',
    'The same for all webhooks and own contents of one user together. Default: no limit.',
    whole(1, 1_000_000),
  ),
  quotaMbPerUser: optional(
    'QUOTA_MB_PER_USER',
    'Megabytes that one user may have stored, in bodies, headers and refusals; further requests get 503 with Retry-After. Default: no limit.',
    whole(1, 100_000_000),
  ),
  maxMemoryMb: optional(
    'MAX_MEMORY_MB',
    'Megabytes of memory: when the service uses more, new requests get 503 with Retry-After, before the system ends the service. Default: 70 % of what the container or the machine has.',
    whole(64, 1_000_000),
  ),
  logLevel: setting(
    'LOG_LEVEL',
    'info',
    'debug logs every request. Webhook keys and credentials are masked.',
    oneOf('debug', 'info', 'warn', 'error', 'silent'),
  ),
  requireUserStatus: listOf(
    'REQUIRE_USER_STATUS',
    'Accept only users with these values of tbluser.status, as 1,2. Default: every value.',
    whole(0, 255),
  ),
  contentEncoding: setting(
    'CONTENT_ENCODING',
    'auto',
    'How rows of other applications are read: auto (UTF-8, else windows-1252), utf-8 or windows-1252.',
    oneOf('auto', 'utf-8', 'windows-1252'),
  ),
  dtTimezone: setting('DT_TIMEZONE', 'UTC', 'Time zone of the column dt in the rows that Restante writes.', timeZone),
  webhookIdFrom: optional(
    'WEBHOOK_ID_FROM',
    'Lowest id of a new webhook. Default 1000000000 on MySQL, far from the ids that other applications give as max + 1; 1 on SQLite.',
    whole(1, 4_000_000_000),
  ),
  webhooksPerUser: setting(
    'WEBHOOKS_PER_USER',
    '1000',
    'Webhooks that one user may have. Those of other applications are not counted.',
    whole(1, 1_000_000),
  ),
  waitingPerUser: setting(
    'WAITING_PER_USER',
    '1000',
    'Calls of one user that may wait at a time: lists and pulls with wait, and streams. Further ones get 503 with Retry-After.',
    whole(1, 1_000_000),
  ),
  unjudgedMbPerUser: setting(
    'UNJUDGED_MB_PER_USER',
    '1000',
    'Megabytes of requests that may wait for the secrets of all webhooks of one user, 10,000 requests and 256 MiB for each webhook; further ones get 503 with Retry-After.',
    whole(1, 100_000_000),
  ),
  retentionDays: setting(
    'RETENTION_DAYS',
    '0',
    'Age in days at which contents are removed, unless a consumer has yet to get them; 0 = never. A webhook may have its own.',
    whole(0, 36_500),
  ),
  pruneForeign: setting(
    'PRUNE_FOREIGN',
    '0',
    '1: RETENTION_DAYS also removes rows of tblwh that other applications inserted.',
    onOff,
  ),
  oldUrls: listOf(
    'OLD_URLS',
    'Origins of your old receiver: a request is received for the webhook whose stored wh_url is one of them with the path and query of the request.',
    origin,
  ),
  fenceNodes: listOf(
    'FENCE_NODES',
    'For a cluster with several writing nodes: mysql:// URLs of the other nodes, so that rows that are being written there are seen too.',
    databaseUrl,
    true,
  ),
  fenceMaxHold: optional(
    'FENCE_MAX_HOLD',
    'Seconds after which lists go on past a row that is still being written, and may skip it. Default: they wait.',
    whole(1, 86_400),
  ),
  allowUnsafeDurability: setting(
    'ALLOW_UNSAFE_DURABILITY',
    '0',
    '1: receive although a crash of the database can lose webhooks that were answered with 2xx. restante doctor names the cause.',
    onOff,
  ),
  metricsToken: optional(
    'METRICS_TOKEN',
    'Requests with this token as `Authorization: Bearer` may read /metrics and the details of /readyz. Without it there are no metrics.',
    text,
    true,
  ),
  secretsKey: optional(
    'SECRETS_KEY',
    'Encrypts the secrets of webhooks at rest: 32 bytes as hex or base64 (openssl rand -hex 32). On SQLite the default is a key file beside the database.',
    key,
    true,
  ),
  fetchCertificates: setting(
    'FETCH_CERTIFICATES',
    '1',
    '0: the certificates that requests to webhooks with the presets sns and paypal name are not fetched from Amazon and PayPal. The owner of a webhook then sets them as secrets.',
    onOff,
  ),
  serviceName: setting(
    'SERVICE_NAME',
    'Restante',
    'Your name for the service, in the sign-in realm and the documentation.',
    (value) => {
      if (!/^[\x20-\x7e]{1,60}$/.test(value) || /["\\]/.test(value))
        throw new Error('must be 1 to 60 printable ASCII characters without " and \\');
      return value;
    },
  ),
  serviceLogo: optional(
    'SERVICE_LOGO',
    'Your logo in the documentation: an image file (svg, png, jpg, webp), 256 KiB at most.',
    imageFile,
  ),
  serviceText: optional('SERVICE_TEXT', 'What your users read first in the documentation, as plain text.', upTo(1_000)),
  dashboardUrl: optional(
    'DASHBOARD_URL',
    'Where your users find their id and token: the documentation links to it.',
    linkUrl,
  ),
} as const;
