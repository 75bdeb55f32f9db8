// docs/deploy.md followed to a verified event, the unit of systemd, and without Docker what the image and compose.yaml would run.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import Stripe from 'stripe';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { emptyDatabase } from '../support/engines.ts';
import { mortal, run, scratchFolder } from '../support/fetch-debs.ts';
import { fetchNode, NPM } from '../support/nodes.ts';
import { freePort } from '../support/servers.ts';
import { needs } from '../support/tools.ts';
import { copiedFiles, type Image, makeImage, NOBODY, readStages } from './image.ts';
import { blocksOf, openShell } from './shell.ts';
import { makeCertificate, NAME, openInternet, replaced, startFront } from './world.ts';

const dockerfile = readStages(readFileSync('Dockerfile', 'utf8'));
const UNIT = 'ops/systemd/restante.service';
const SECRET = 'whsec_of_the_test';

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
/** The Node that the Dockerfile names, and that docs/deploy.md installs. */
let node: string;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  scratch = await scratchFolder('/tmp/restante-deploy-');
  chmodSync(scratch.path, 0o755);
});
beforeEach(async ({ skip }) => {
  const [, major] = /^node:(\d+)-/.exec(dockerfile[0]?.from ?? '') ?? [];
  node ??= await fetchNode(major ?? '', { skip });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => scratch?.remove());

/** A program that runs on, and what it says. */
function watched(child: ChildProcess) {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += text));
  let closed = false;
  const ended = once(child, 'close').then(([code, signal]) => {
    closed = true;
    return (code ?? signal) as number | string;
  });
  ends.push(() => child.kill('SIGKILL'));
  return {
    child,
    ended,
    said: () => said,
    async saying(what: RegExp): Promise<RegExpExecArray> {
      for (const until = Date.now() + 30_000; ; await sleep(20)) {
        const found = what.exec(said);
        if (found) return found;
        if (closed || Date.now() > until) throw new Error(`${what} was never said: ${said}`);
      }
    },
  };
}

/** An event as Stripe sends it. */
function stripeEvent(id: string) {
  const body = JSON.stringify({ id, object: 'event', type: 'invoice.paid', name: 'Järvi' });
  const signature = new Stripe('sk_test_x').webhooks.generateTestHeaderString({ payload: body, secret: SECRET });
  return { method: 'POST', body, headers: { 'stripe-signature': signature } };
}

describe('the image, as the Dockerfile says, but without Docker', () => {
  let image: Image;
  beforeEach(async () => {
    image ??= await makeImage(join(scratch.path, 'docker'), node);
  });
  afterAll(() => image?.open());
  const env = { LOG_LEVEL: 'info' };

  test('its context has what it copies, and not what a copy of the repository collects', () => {
    const allowed = readFileSync('.dockerignore', 'utf8').split('\n');
    expect(allowed.slice(1).filter((line) => line && !line.startsWith('!'))).toEqual(['*']);
    expect(allowed.filter((line) => line.startsWith('!')).sort()).toEqual(
      copiedFiles()
        .map((one) => `!${one}`)
        .sort(),
    );
  });

  test('is built, serves as nobody on files that it cannot change, keeps data in the volume, ends by its signal', async () => {
    const PORT = String(await freePort());
    const service = watched(image.start(image.command(), { ...env, PORT }));
    const healthy = () => watched(image.start(image.healthcheck, { PORT })).ended;
    await service.saying(/"msg":"listening"/);
    await service.saying(/"host":"0\.0\.0\.0"/);
    const [, hook = ''] = await service.saying(/webhook +(http\S+)\n/);
    expect((await fetch(hook, { method: 'POST', body: 'x' })).status).toBe(200);
    for (const path of ['/docs', '/inbox', '/docs/reference.md'])
      expect([path, (await fetch(`http://127.0.0.1:${PORT}${path}`)).status]).toEqual([path, 200]);
    expect(statSync(join(image.volume, 'restante.db')).size).toBeGreaterThan(0);
    expect(statSync(join(image.root, 'restante/dist')).mode & 0o222).toBe(0);
    expect(await healthy()).toBe(0);
    service.child.kill(image.stopSignal);
    expect(await service.ended).toBe(0);
    expect(await healthy()).toBe(1);
  });

  test('compose.yaml holds together: nobody has more rights than needed, and all it names is there', () => {
    const { services, secrets, volumes, networks } = readCompose();
    for (const [name, one] of Object.entries(services)) {
      expect([name, one.read_only, one.cap_drop, one.security_opt]).toEqual([
        name,
        true,
        ['ALL'],
        ['no-new-privileges:true'],
      ]);
      expect([name, one.cap_add ?? []]).toEqual([name, name === 'caddy' ? ['NET_BIND_SERVICE'] : []]);
      for (const secret of one.secrets ?? []) expect(secrets).toHaveProperty(secret);
      for (const file of Object.values(one.environment).filter((value) => value.startsWith('/run/secrets/')))
        expect(one.secrets).toContain(file.slice('/run/secrets/'.length));
      for (const volume of one.volumes ?? []) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('./')) expect(existsSync(from), from).toBe(true);
        else expect(volumes).toHaveProperty(from);
      }
      for (const [other, { condition }] of Object.entries(one.depends_on ?? {})) {
        const { healthcheck, build, restart } = services[other] as Service;
        if (condition === 'service_healthy') expect(healthcheck?.test ?? build, other).toBeDefined();
        else expect([condition, restart]).toEqual(['service_completed_successfully', 'no']);
      }
      for (const network of Array.isArray(one.networks) ? one.networks : Object.keys(one.networks))
        expect(networks).toHaveProperty(network);
    }
    // Only Caddy can be called, and only Caddy is believed.
    expect(Object.keys(services).filter((name) => services[name]?.ports)).toEqual(['caddy']);
    const { front } = (services as { caddy: Service }).caddy.networks as { front: { ipv4_address: string } };
    expect(services.restante?.environment.TRUST_PROXY).toBe(front.ipv4_address);
  });

  test('health checks need no newer Docker: Engine before 25 refuses an interval of its own for the start', () => {
    const old = ['test', 'interval', 'timeout', 'retries', 'start_period', 'disable'];
    for (const [name, { healthcheck }] of Object.entries(readCompose().services))
      expect([name, Object.keys(healthcheck ?? {}).filter((key) => !old.includes(key))]).toEqual([name, []]);
    const check = dockerfile.at(-1)?.lines.find(({ word }) => word === 'HEALTHCHECK')?.rest ?? '';
    expect([...check.matchAll(/--([a-z-]+)=/g)].map(([, flag]) => flag)).toEqual([
      'interval',
      'timeout',
      'start-period',
    ]);
  });

  test('compose.yaml on a real MySQL, by the commands of docs/deploy.md: migrated, served, an event verified', async () => {
    const folder = join(scratch.path, 'compose');
    mkdirSync(folder);
    const { services } = readCompose();
    const { restante, migrate } = services as { restante: Service; migrate: Service };
    const PORT = String(await freePort());
    const interpolated = (value: string) =>
      value.replace(/\$\{(\w+)(?::[-?](.*?))?\}/g, (_, name, otherwise) => (name === 'DOMAIN' ? NAME : otherwise));
    const envOf = ({ environment }: Service) => ({
      ...Object.fromEntries(
        Object.entries(environment).map(([name, value]) => [
          name,
          interpolated(value).replace('/run/secrets', `${folder}/secrets`),
        ]),
      ),
      PORT,
    });
    const given = Object.entries({ ...image.env, ...envOf(restante) }).map(([name, value]) => `${name}='${value}'`);
    const shell = openShell(
      folder,
      { PATH: `${image.root}/usr/local/bin:${process.env.PATH}` },
      {
        docker: `[ "$2" = up ] && exit; shift 2; [ "$1" = -T ] && shift; [ "$1" = restante ] && shift && exec env ${given.join(' ')} "$@"`,
      },
    );
    ends.push(shell.end);
    const [first = '', second = '', ...more] = blocksOf('compose');
    expect(more).toEqual([]);
    await shell.type(first);
    expect(readFileSync(join(folder, '.env'), 'utf8')).toBe(`DOMAIN=${NAME}\n`);
    expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700);

    // What MySQL's image makes of its settings and of the script that is mounted.
    const {
      MYSQL_USER = '',
      MYSQL_DATABASE = '',
      MYSQL_PASSWORD_FILE = '',
    } = (services as { mysql: Service }).mysql.environment;
    const password = readFileSync(MYSQL_PASSWORD_FILE.replace('/run', folder), 'utf8').trim();
    const database = await emptyDatabase('mysql', false);
    const { host, pathname } = new URL(database.url);
    const account = pathname.slice(-20);
    const root = await createConnection({ uri: database.url, multipleStatements: true });
    ends.push(async () => {
      await root.query(`DROP USER ${account}`);
      await root.end();
      await database.drop();
    });
    await root.query(
      `CREATE USER ${account} IDENTIFIED BY '${password}'; GRANT ALL ON ${pathname.slice(1)}.* TO ${account}`,
    );
    await root.query(
      replaced(readFileSync('ops/mysql/grants.sql', 'utf8'), { [` TO ${MYSQL_USER};`]: ` TO ${account};` }),
    );
    const file = join(folder, 'secrets/database-url');
    const url = readFileSync(file, 'utf8');
    const there = { [`${MYSQL_USER}:`]: `${account}:`, [`@mysql/${MYSQL_DATABASE}`]: `@${host}${pathname}` };
    writeFileSync(file, replaced(url, there));
    // The mode of the folder keeps others of the host out; into a container its files are mounted one by one.
    for (const one of restante.secrets ?? []) expect(statSync(join(folder, 'secrets', one)).mode & 0o444).toBe(0o444);
    chmodSync(join(folder, 'secrets'), 0o755);

    for (const _time of ['first', 'every later start']) {
      const migrated = watched(image.start(image.command(migrate.command), envOf(migrate)));
      expect([await migrated.ended, migrated.said()]).toEqual([0, expect.any(String)]);
    }
    const service = watched(image.start(image.command(restante.command), envOf(restante)));
    await service.saying(/"level":"extended","promise":"exact"/);
    const said = await shell.type(replaced(second, { '--secret-file -': `--secret-file - <<< ${SECRET}` }));
    const [, token] = /token +(\w+)/.exec(said) ?? [];
    const [, path = ''] = new RegExp(`https://${NAME}(/in/\\S+)`).exec(said) ?? [];
    const event = stripeEvent('evt_compose');
    expect((await fetch(`http://127.0.0.1:${PORT}${path}`, event)).status).toBe(200);
    const list = `http://127.0.0.1:${PORT}/whcontent?whid=1000000000&wait=10&verified=signed`;
    const answer = await fetch(list, { headers: { authorization: `Basic ${btoa(`1:${token}`)}` } });
    expect(await answer.json()).toMatchObject({ whcontent: [{ content: event.body }] });
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
  });
});

interface Service {
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly secrets?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks: readonly string[] | Readonly<Record<string, object>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[] };
  readonly build?: string;
  readonly restart?: string;
  readonly command?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: object;
  readonly volumes: object;
  readonly networks: object;
}
const readCompose = (): Compose => parse(readFileSync('compose.yaml', 'utf8'), { merge: true, strict: true });

test('systemd: the unit is well-formed, and may do little', async (context) => {
  const analyze = needs('systemd-analyze', context);
  await run([analyze, 'verify', UNIT]);
  // In tenths: 0 may do nothing, 96 is a service that says nothing of what it may do.
  expect(await run([analyze, 'security', '--no-pager', '--offline=true', '--threshold=20', UNIT])).toContain(
    'exposure',
  );
});

test('docs/deploy.md, a server of your own: followed line by line to an event that is verified, fetched and forwarded', async (context) => {
  const folder = join(scratch.path, 'server');
  for (const name of ['etc/systemd/system', 'etc/nginx/conf.d', 'etc/letsencrypt/live', 'var/lib/restante', 'node'])
    mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(node, join(folder, 'node/node'));
  const certificate = await makeCertificate(needs('openssl', context), join(folder, 'tls'));
  const upstream = String(await freePort());
  const PATH = `${folder}/usr/bin:${folder}/node:${process.env.PATH}`;

  // As npm would have it, with the files that package.json says belong to it.
  const npm = { npm_config_prefix: join(folder, 'usr'), npm_config_install_links: 'true', npm_config_omit: 'optional' };
  const shell = openShell(
    folder,
    { PATH, HOME: process.env.HOME ?? folder, ...npm },
    {
      systemctl: `echo "$@" >> ${folder}/systemctl`,
      journalctl: `cat ${folder}/journal`,
      certbot: `ln -s ${certificate.folder} ${folder}/etc/letsencrypt/live/${NAME}`,
      nginx: 'exit',
    },
  );
  ends.push(shell.end);
  /** The paths of the page lie in the folder; nothing else of it is changed but what is told here. */
  const typed = (block: string, table: Readonly<Record<string, string>> = {}) =>
    shell.type(replaced(block, table).replaceAll(/(?<![\w.$}/])\/(?=(etc|var)\/)/g, `${folder}/`));
  const asked = () => readFileSync(join(folder, 'systemctl'), 'utf8').trim().split('\n');

  const [install = '', tls = '', look = '', webhook = '', ...more] = blocksOf('server');
  expect(more).toEqual([]);
  await typed(install, { 'npm install -g restante': `npm install -g ${NPM.join(' ')} ${resolve('.')}` });
  expect(asked()).toEqual(['enable --now restante']);
  const service = startUnit(folder, { PATH: `${folder}/usr/bin:${folder}/node:/usr/bin:/bin`, PORT: upstream });
  await service.saying(/"msg":"listening"/);
  await service.saying(/user id +\d+\n +token +\w+\n/);
  writeFileSync(join(folder, 'journal'), service.said());

  await typed(tls);
  expect(asked().slice(1)).toEqual(['reload nginx']);
  const site = join(folder, 'etc/nginx/conf.d/restante.conf');
  const place = { folder: join(folder, 'nginx'), cert: join(folder, `etc/letsencrypt/live/${NAME}`), site };
  const front = await startFront(['nginx', needs('nginx', context)], Number(upstream), place);
  ends.push(front.stop);
  const internet = await openInternet(front.port, certificate);
  ends.push(internet.close);
  const outside = `export HTTPS_PROXY=${internet.url} CURL_CA_BUNDLE=${certificate.ca} NODE_EXTRA_CA_CERTS=${certificate.ca}\n`;

  const seen = await typed(outside + look);
  expect(seen).toContain('{"status":"ok"}');
  const [, id = '', token = ''] = /user id +(\d+)\n +token +(\w+)/.exec(seen) ?? [];
  const told = await typed(webhook, { '--secret-file -': `--secret-file - <<< ${SECRET}` });
  const [url = ''] = new RegExp(`https://${NAME}/in/\\S+`).exec(told) ?? [];

  const event = stripeEvent('evt_deployed');
  const forged = { ...event, body: event.body.replace('paid', 'free') };
  const { pathname } = new URL(url);
  expect((await internet.fetch(pathname, event)).status).toBe(200);
  expect((await internet.fetch(pathname, forged)).status).toBe(401);

  const got: Stripe.Event[] = [];
  const target = createServer(async (request, response) => {
    const signature = String(request.headers['stripe-signature']);
    got.push(new Stripe('sk_test_x').webhooks.constructEvent(await buffer(request), signature, SECRET));
    response.end();
  }).listen(0, 'localhost');
  ends.push(() => target.close());
  await once(target, 'listening');
  const [laptop = '', ...others] = blocksOf('laptop');
  expect(others).toEqual([]);
  const fetched = await typed(outside + laptop, {
    '1:TOKEN': `${id}:${token}`,
    'npm install -g restante\n': '',
    'localhost:3000/hook': `localhost:${(target.address() as AddressInfo).port}/hook & sleep 0`,
  });
  expect(fetched).toContain('"verified":"signed"');
  expect(fetched).toContain('evt_deployed');
  for (let i = 0; i < 500 && got.length === 0; i++) await sleep(20);
  expect(got.map((one) => one.id)).toEqual(['evt_deployed']);

  service.child.kill('SIGTERM');
  expect(await service.ended).toBe(0);
});

/** What systemd makes of the unit that was installed: settings, credentials, folder, user, command. */
function startUnit(folder: string, env: Readonly<Record<string, string>>) {
  const unit = readFileSync(join(folder, 'etc/systemd/system/restante.service'), 'utf8');
  const all = (name: string) => [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
  const credentials = join(folder, 'credentials');
  mkdirSync(credentials);
  const place = (text: string) => text.replace('%d', credentials).replace('%S', `${folder}/var/lib`);
  for (const one of all('LoadCredential')) {
    const [name = '', path = ''] = one.split(':');
    // Root's alone, and a credential is the service's alone.
    expect(statSync(dirname(join(folder, path))).mode & 0o077).toBe(0);
    copyFileSync(join(folder, path), join(credentials, name));
  }
  const settings = [
    ...all('EnvironmentFile').flatMap((path) => readFileSync(join(folder, path), 'utf8').trim().split('\n')),
    ...all('Environment'),
  ];
  const given = Object.fromEntries(settings.map((line) => place(line).split(/=(.*)/s).slice(0, 2) as [string, string]));
  const cwd = place(all('WorkingDirectory')[0] ?? '');
  expect(all('StateDirectory')).toEqual(['restante']);
  chmodSync(cwd, Number.parseInt(all('StateDirectoryMode')[0] ?? '', 8));
  const own = [cwd, credentials, ...readdirSync(credentials).map((name) => join(credentials, name))];
  if (NOBODY.uid !== undefined) for (const path of own) chownSync(path, NOBODY.uid, NOBODY.gid);
  const [file, ...args] = mortal((all('ExecStart')[0] ?? '').split(' '));
  return watched(spawn(file, args, { cwd, env: { ...given, ...env }, ...NOBODY }));
}
