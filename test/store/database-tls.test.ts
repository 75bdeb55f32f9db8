// ?ssl=true on real servers: a certificate of a trusted authority is not enough, it must be for the host that was named.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
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
    // Killed: nothing of it is looked at any more, and stopping takes seconds.
    (one) => one.kill().then(one.stop),
  );
  await (await connected(server.url)).query('CREATE DATABASE app');
  // A program of its own: Node reads NODE_EXTRA_CA_CERTS when it starts.
  const look = async (host: string, query: string, trusted: boolean) => {
    const env = {
      DATABASE_URL: `mysql://root@${host}:${server.port}/app?ssl=${query}`,
      ...(trusted ? { NODE_EXTRA_CA_CERTS: ca } : {}),
    };
    const ended = promisify(execFile)(process.execPath, ['dist/main.js', 'migrate', '--check'], { env });
    return (await ended.catch((error: { stderr: string }) => error)).stderr;
  };
  const cases = [
    ['localhost', 'true', true, name === 'localhost'],
    ['localhost', 'true', false, false],
    ['127.0.0.1', 'true', false, false],
    ['127.0.0.1', 'true', true, true],
    ['localhost', 'skip-verify', false, true],
  ] as const;
  await Promise.all(
    cases.map(async ([host, query, trusted, good]) => {
      const said = await look(host, query, trusted);
      expect(said.includes('no TLS connection comes about'), `${host} ${query} ${trusted}: ${said}`).toBe(!good);
    }),
  );
});
