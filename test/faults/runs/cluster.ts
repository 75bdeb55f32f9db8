// Three real nodes of a Galera cluster on this machine, which can be killed and come back. Needs root, rsync and lsof.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { mortal, run, scratchFolder } from '../../support/fetch-debs.ts';
import { freePort, isDead, launch, prepare } from '../../support/servers.ts';

export interface Cluster {
  /** mysql://root@127.0.0.1:PORT/ of each node. */
  readonly urls: readonly string[];
  kill(node: number): Promise<void>;
  /** Resolves when it has what the others have. */
  start(node: number): Promise<void>;
  stop(): Promise<void>;
}

const NODES = [0, 1, 2];
const JOIN_MS = 120_000;
// Copying a node's data to another one fails as root: the servers run as the user who owns nothing.
const USER = 'nobody';

export async function startCluster(): Promise<Cluster> {
  const folder = await scratchFolder(join(tmpdir(), 'restante-galera-'));
  const at = (...names: string[]) => join(folder.path, ...names);
  const ports = await Promise.all(NODES.map(freePort));
  // Three ports each: between the nodes, for what a node has missed, and for all of its data.
  const links = await Promise.all(
    NODES.map(async () => [await freePort(), await freePort(), await freePort()] as const),
  );
  const { program, template } = await prepare('mariadb');
  const children: (ChildProcess | undefined)[] = [];

  await run(['chmod', '755', folder.path]);
  await run([
    'sh',
    '-c',
    'cd "$1" && apt-get -q download galera-4 mariadb-server mariadb-client-core && for deb in *.deb; do dpkg-deb -x $deb galera; done',
    '-',
    folder.path,
  ]);
  // The user may not enter the cache, which is in root's home.
  await run(['cp', '-r', '--reflink=auto', join(program.prefix, '..'), at('server')]);
  const here = (text: string) => text.replaceAll(join(program.prefix, '..'), at('server'));
  for (const node of NODES) {
    await mkdir(at(`${node}`));
    await run(['cp', '-r', '--reflink=auto', template, at(`${node}`, 'data')]);
    await run(['chown', '-R', USER, at(`${node}`)]);
  }

  function launchNode(node: number, first: boolean): ChildProcess {
    const [link, missed, all] = links[node] as (typeof links)[number];
    const address = (port: number) => `127.0.0.1:${port}`;
    const server = [
      ...program.command.map(here),
      '--no-defaults',
      ...program.options.map(here),
      `--datadir=${at(`${node}`, 'data')}`,
      `--port=${ports[node]}`,
      '--bind-address=127.0.0.1',
      `--socket=${at(`${node}`, 'socket')}`,
      `--pid-file=${at(`${node}`, 'pid')}`,
      '--wsrep-on=ON',
      `--wsrep-provider=${at('galera/usr/lib/galera/libgalera_smm.so')}`,
      '--binlog-format=ROW',
      '--innodb-autoinc-lock-mode=2',
      `--wsrep-node-address=${address(link)}`,
      `--wsrep-cluster-address=gcomm://${links.map(([one]) => address(one)).join()}`,
      `--wsrep-provider-options=base_port=${link};gmcast.listen_addr=tcp://${address(link)};ist.recv_addr=${address(missed)}`,
      `--wsrep-sst-receive-address=${address(all)}`,
      ...(first ? ['--wsrep-new-cluster'] : []),
    ];
    // The kernel forgets whom a process dies with when its user changes: it is told once more.
    const command = ['setpriv', `--reuid=${USER}`, '--clear-groups', '--', ...mortal(server)];
    return launch(command, at(`${node}`, 'log'), { PATH: `${at('galera/usr/bin')}:${process.env.PATH}` });
  }
  async function start(node: number, first = false): Promise<void> {
    const child = launchNode(node, first);
    children[node] = child;
    for (const until = Date.now() + JOIN_MS; ; await sleep(100)) {
      if ((await stateOf(ports[node] as number)) === 'Synced') return;
      if (!isDead(child) && Date.now() < until) continue;
      const log = await readFile(at(`${node}`, 'log'), 'utf8');
      throw new Error(
        `node ${node} did not join the cluster:\n${log.match(/.*ERROR.*/g)?.join('\n') ?? log.slice(-2_000)}`,
      );
    }
  }
  async function kill(node: number): Promise<void> {
    const child = children[node];
    if (!child || isDead(child)) return;
    const dead = once(child, 'exit');
    child.ref();
    child.kill('SIGKILL');
    await dead;
  }
  async function stop(): Promise<void> {
    for (const node of NODES) await kill(node);
    await folder.remove();
  }
  try {
    for (const node of NODES) await start(node, node === 0);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    urls: ports.map((port) => `mysql://root@127.0.0.1:${port}/`),
    kill,
    start,
    stop,
  };
}

/** `Synced`: it takes part, and has what the others have. */
async function stateOf(port: number): Promise<string | undefined> {
  const connection = await createConnection({ uri: `mysql://root@127.0.0.1:${port}/`, connectTimeout: 2_000 }).catch(
    () => undefined,
  );
  const answer = await connection
    ?.query<RowDataPacket[]>("SHOW STATUS LIKE 'wsrep_local_state_comment'")
    .catch(() => undefined);
  connection?.destroy();
  return answer?.[0][0]?.Value;
}
