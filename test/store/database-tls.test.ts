// ?ssl=true on real servers: a certificate of a trusted authority is not enough, it must be for the host that was named.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCertificate, NAME } from '../deploy/world.ts';
import { connected, kept } from '../support/cli.ts';
import { scratchFolder } from '../support/fetch-debs.ts';
import { startServer } from '../support/servers.ts';
import { needs } from '../support/tools.ts';

test.for([
  ['mariadb', 'localhost'],
  ['mariadb', NAME],
  ['mysql', 'localhost'],
  ['mysql', NAME],
] as const)('%s with a certificate for %s', async ([engine, name], context) => {
  const folder = kept(await scratchFolder('/tmp/restante-tls-'), (one) => one.remove());
  const { ca } = await makeCertificate(needs('openssl', context), folder.path, name);
  const at = (file: string) => join(folder.path, file);
  const server = kept(
    await startServer(engine, {
      args: [`--ssl-cert=${at('fullchain.pem')}`, `--ssl-key=${at('privkey.pem')}`, `--ssl-ca=${ca}`],
    }),
    (one) => one.stop(),
  );
  await (await connected(server.url)).query('CREATE DATABASE app');
  // A program of its own: Node reads NODE_EXTRA_CA_CERTS when it starts.
  const look = (host: string, query: string, trusted: boolean) => {
    const env = {
      DATABASE_URL: `mysql://root@${host}:${server.port}/app?ssl=${query}`,
      ...(trusted ? { NODE_EXTRA_CA_CERTS: ca } : {}),
    };
    return spawnSync(process.execPath, ['dist/main.js', 'migrate', '--check'], { env, encoding: 'utf8' }).stderr;
  };
  for (const [host, query, trusted, good] of [
    ['localhost', 'true', true, name === 'localhost'],
    ['localhost', 'true', false, false],
    ['127.0.0.1', 'true', false, false],
    ['127.0.0.1', 'true', true, true],
    ['localhost', 'skip-verify', false, true],
  ] as const) {
    const said = look(host, query, trusted);
    expect(said.includes('no TLS connection comes about'), `${host} ${query} ${trusted}: ${said}`).toBe(!good);
  }
});
