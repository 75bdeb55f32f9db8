// A small internet for tests of ops/ and docs/deploy.md: a certificate, the proxies with the files of ops/, and a way to them by name.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { ProxyAgent, type RequestInit, type Response, fetch as undiciFetch } from 'undici';
import { mortal, onExit, run } from '../support/fetch-debs.ts';
import { freePort } from '../support/servers.ts';

export const NAME = 'hooks.example.org';
/** Where senders seem to come from. */
export const SENDER = '127.0.0.2';

export interface Certificate {
  /** Of the authority, for those who call. */
  readonly ca: string;
  /** For the proxy: the folder that certbot would make. */
  readonly folder: string;
}

/** A private authority and its certificate for `name`, laid out as certbot does. */
export async function makeCertificate(openssl: string, folder: string, name = NAME): Promise<Certificate> {
  mkdirSync(folder, { recursive: true });
  const at = (file: string) => join(folder, file);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run([openssl, 'req', '-x509', ...key, '-subj', '/CN=Test', '-keyout', at('ca.key'), '-out', at('ca.pem')]);
  await run([openssl, 'req', ...key, '-subj', `/CN=${name}`, '-keyout', at('privkey.pem'), '-out', at('csr')]);
  writeFileSync(at('names'), `subjectAltName=DNS:${name}`);
  const by = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-extfile', at('names')];
  await run([openssl, 'x509', '-req', '-in', at('csr'), ...by, '-out', at('fullchain.pem')]);
  return { ca: at('ca.pem'), folder };
}

/** Every text of `table` must be there: a file that has changed is noticed. */
export function replaced(text: string, table: Readonly<Record<string, string>>): string {
  return Object.entries(table).reduce((done, [from, to]) => {
    if (!done.includes(from)) throw new Error(`there is no ${from} in:\n${text}`);
    return done.replaceAll(from, to);
  }, text);
}

export type Kind = 'nginx' | 'apache2' | 'caddy';
export interface Front {
  readonly port: number;
  /** What it has complained about. */
  log(): string;
  stop(): Promise<void>;
}

const MODULES = ['mpm_event', 'authz_core', 'headers', 'ssl', 'proxy', 'proxy_http'];
const NGINX = `daemon off; master_process off; pid nginx.pid; events {}
http {
  client_body_temp_path temp-body; proxy_temp_path temp-proxy; fastcgi_temp_path temp-fastcgi;
  uwsgi_temp_path temp-uwsgi; scgi_temp_path temp-scgi; access_log access.log;
  include site.conf;
}`;
/** What each needs around the file of ops/, as its package brings it along; and how it is started. */
const AROUND: Readonly<Record<Kind, (site: string, port: number, upstream: number, cert: string) => Started>> = {
  nginx: (site, port, upstream, cert) => ({
    files: {
      'site.conf': replaced(site, {
        'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
        'listen [::]:443 ssl;': '',
        '127.0.0.1:4343': `127.0.0.1:${upstream}`,
        [`/etc/letsencrypt/live/${NAME}`]: cert,
      }),
      'nginx.conf': NGINX,
    },
    args: ['-p', '.', '-c', 'nginx.conf', '-e', 'error.log'],
  }),
  apache2: (site, port, upstream, cert) => ({
    files: {
      'apache.conf': `Listen 127.0.0.1:${port}\nServerName ${NAME}\nPidFile pid\nErrorLog error.log\nMutex posixsem
${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
ThreadsPerChild 25\nStartServers 1\n${replaced(site, {
        '*:443': `127.0.0.1:${port}`,
        '127.0.0.1:4343': `127.0.0.1:${upstream}`,
        [`/etc/letsencrypt/live/${NAME}`]: cert,
      })}`,
    },
    args: ['-d', '.', '-f', 'apache.conf', '-X'],
  }),
  caddy: (site, _port, _upstream, cert) => ({
    files: {
      Caddyfile: `{\n admin off\n auto_https off\n}\n${replaced(site, {
        '{$DOMAIN} {': `{$DOMAIN} {\n tls ${cert}/fullchain.pem ${cert}/privkey.pem`,
      })}`,
    },
    args: ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
  }),
};
interface Started {
  readonly files: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}
export const SITES: Readonly<Record<Kind, string>> = {
  nginx: 'ops/nginx/restante.conf',
  apache2: 'ops/apache/restante.conf',
  caddy: 'ops/caddy/Caddyfile',
};

/** Starts a proxy with a file of ops/ (or `site`, where it was installed), in a folder of its own. */
export async function startFront(
  [kind, program]: readonly [Kind, string],
  upstream: number,
  { folder, cert, site = SITES[kind] }: { readonly folder: string; readonly cert: string; readonly site?: string },
): Promise<Front> {
  const port = await freePort();
  mkdirSync(folder, { recursive: true });
  const { files, args } = AROUND[kind](readFileSync(site, 'utf8'), port, upstream, cert);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const output = join(folder, 'error.log');
  const out = openSync(output, 'a');
  const [file, ...rest] = mortal([program, ...args]);
  const env = { DOMAIN: `https://${NAME}:${port}`, RESTANTE: `127.0.0.1:${upstream}`, HOME: folder };
  const child = spawn(file, rest, { cwd: folder, stdio: ['ignore', out, out], env });
  const log = () => readFileSync(output, 'utf8');
  await listening(child, port, log);
  const forget = onExit(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit').then(forget);
  return {
    port,
    log,
    async stop() {
      // Asked politely, some wait for streams.
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function listening(child: ChildProcess, port: number, log: () => string): Promise<void> {
  for (const deadline = Date.now() + 20_000; ; await sleep(20)) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline)
      throw new Error(`it does not listen on ${port}:\n${log()}`);
    if (open) return;
  }
}

export interface Internet {
  /** For curl and the agent, as HTTPS_PROXY: there NAME leads to the proxy under test. */
  readonly url: string;
  /** A port that speaks plain HTTP and passes every byte on, inside of TLS. */
  readonly bare: number;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  close(): void;
}

/** All that calls https://NAME comes to `port` of this machine, from SENDER, and trusts the authority. */
export async function openInternet(port: number, { ca }: Certificate): Promise<Internet> {
  const authority = readFileSync(ca, 'utf8');
  const exchange = createHttpServer().on('connect', ({ url }: { url?: string }, socket: Socket) => {
    if (url !== `${NAME}:443`) return void socket.end('HTTP/1.1 502 No such host\r\n\r\n');
    const to = connect({ port, host: '127.0.0.1', localAddress: SENDER });
    to.once('connect', () => void socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    joined(socket, to);
  });
  const bare = createServer((socket) => {
    const plain = connect({ port, host: '127.0.0.1', localAddress: SENDER });
    joined(socket, connectTls({ socket: plain, servername: NAME, ca: authority, ALPNProtocols: ['http/1.1'] }));
  });
  const url = `http://127.0.0.1:${await listen(exchange)}`;
  const dispatcher = new ProxyAgent({ uri: url, requestTls: { ca: authority } });
  return {
    url,
    bare: await listen(bare),
    fetch: (path, init = {}) => undiciFetch(`https://${NAME}${path}`, { ...init, dispatcher }),
    close() {
      void dispatcher.destroy();
      exchange.closeAllConnections();
      exchange.close();
      bare.close();
    },
  };
}

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

function joined(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  one.on('error', () => other.destroy()).on('close', () => other.destroy());
  other.on('error', () => one.destroy()).on('close', () => one.destroy());
}
