// mysql://user:password@host:3306,host2/database?ssl=true: read into its parts. What is not known is refused, not ignored.

export interface Host {
  readonly host: string;
  readonly port: number;
}
export interface MysqlUrl {
  /** At least one. Of several each is a node of the same cluster; the first that can be connected to is used. */
  readonly hosts: readonly Host[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** `unverified`: encrypted, whatever the certificate. */
  readonly tls: 'off' | 'on' | 'unverified';
}

// User and password may have @ in them, the password : too; / ? # and % must be percent codes.
const SHAPE =
  /^mysql:\/\/(?:(?<user>[^:/?#]*)(?::(?<password>[^/?#]*))?@)?(?<hosts>[^@/?#]+)\/(?<database>[^/?#]+)(?:\?(?<query>[^#]*))?$/;
const HOST = /^(?:\[(?<ipv6>[\da-f:.]+)\]|(?<name>[^\s:,[\]]+))(?::(?<port>\d{1,5}))?$/i;
const TLS = new Map<string, MysqlUrl['tls']>([
  ['true', 'on'],
  ['skip-verify', 'unverified'],
  ['false', 'off'],
]);

/** Throws a sentence without its subject, which is the name of the setting: `must be …`. Nothing secret is in it. */
export function parseMysqlUrl(url: string): MysqlUrl {
  const { user = '', password = '', hosts = '', database = '', query } = SHAPE.exec(url)?.groups ?? {};
  return {
    hosts: hosts.split(',').map(hostOf),
    user: decoded(user) || 'root',
    password: decoded(password),
    database: decoded(database),
    tls: tlsOf(new URLSearchParams(query)),
  };
}

function hostOf(text: string): Host {
  const { ipv6, name, port = '3306' } = HOST.exec(text)?.groups ?? {};
  const host = ipv6 ?? name;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new Error('must be mysql://user:password@host:3306/database or sqlite:./path/to/file.db');
  return { host, port: Number(port) };
}

/** `host:port` as in a URL. */
export const hostText = ({ host, port }: Host): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('has a % that begins no percent code: write it as %25');
  }
}

function tlsOf(query: URLSearchParams): MysqlUrl['tls'] {
  for (const name of query.keys())
    if (name !== 'ssl')
      throw new Error(`knows no ?${name}: there is ?ssl=true (TLS), ?ssl=skip-verify (any certificate) and ?ssl=false`);
  const [ssl, ...more] = query.getAll('ssl');
  if (more.length > 0) throw new Error('is not clear: ssl is given twice');
  if (ssl === undefined) return 'off';
  const tls = TLS.get(ssl);
  if (!tls) throw new Error(`is not clear: ssl must be true, skip-verify or false, not ${ssl ? `"${ssl}"` : 'empty'}`);
  return tls;
}
