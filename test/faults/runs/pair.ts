// A primary and its replica behind one name, as a failover tool leaves them: new connections lead to the promoted one, old ones stay.
import { rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type DatabaseServer, type Flavour, startServer } from '../../support/servers.ts';

/** What becomes of the old primary: a replica that is so far behind, one without a source, or a replica that has it all. */
export type Fate = 'lagging' | 'detached' | 'back';
const LAG_S = 20;

export interface Pair {
  /** The name: mysql://root@127.0.0.1:PORT/ */
  readonly url: string;
  readonly servers: readonly [DatabaseServer, DatabaseServer];
  /** Which of the two is the primary. */
  readonly primary: number;
  /** A connection as root to one of them, closed with the pair. */
  root(server: number): Connection;
  /** Cuts the replica off from its source: what is stored from now on is lost by a promotion. */
  cutOff(): Promise<void>;
  /** The replica becomes the primary, and the name leads to it. */
  promote(options?: { readonly fate?: Fate; readonly readOnly?: boolean; readonly lossy?: boolean }): Promise<void>;
  /** New connections lead to both by turns, and both take writes; or to the primary alone. */
  balance(on: boolean): Promise<void>;
  /** The old primary becomes a replica that has what the new one has. */
  attach(): Promise<void>;
  stop(): Promise<void>;
}

const ARGS = {
  mariadb: ['--log-bin=binlog', '--log-slave-updates', '--sync-binlog=1', '--gtid-strict-mode=1'],
  mysql: ['--gtid-mode=ON', '--enforce-gtid-consistency=ON'],
} as const;
const STOP = { mariadb: 'STOP SLAVE', mysql: 'STOP REPLICA' } as const;
const WITHIN_MS = 60_000;

export async function startPair(flavour: Flavour): Promise<Pair> {
  const servers = await Promise.all(
    [1, 2].map((id) => startServer(flavour, { args: [`--server-id=${id}`, ...ARGS[flavour]] })),
  );
  const [first, second] = servers as [DatabaseServer, DatabaseServer];
  const roots: Connection[] = [];
  const sockets = new Set<Socket>();
  let primary = 0;
  let turns = false;
  let connections = 0;
  const vip = createServer((client) => {
    const { port } = servers[turns ? connections++ % 2 : primary] as DatabaseServer;
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) {
      sockets.add(socket.setNoDelay(true));
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket);
          client.destroy();
          server.destroy();
        });
    }
    client.pipe(server).pipe(client);
  });
  async function stop(): Promise<void> {
    for (const root of roots) root.destroy();
    for (const socket of sockets) socket.destroy();
    vip.close();
    await Promise.all(servers.map((server) => server.stop()));
  }
  const root = (server: number) => roots[server] as Connection;
  const ask = async (server: number, sql: string): Promise<RowDataPacket> =>
    ((await root(server).query<RowDataPacket[]>(sql))[0][0] ?? {}) as RowDataPacket;

  async function connectAll(): Promise<void> {
    for (const [i, { url }] of servers.entries()) {
      const connection = await createConnection(url);
      connection.on('error', () => {});
      roots[i] = connection;
    }
  }
  async function follow(server: number, seconds: number, demoted: boolean): Promise<void> {
    const { port } = servers[1 - server] as DatabaseServer;
    await root(server).query(STOP[flavour]);
    await root(server).query(
      flavour === 'mariadb'
        ? `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${port}, MASTER_USER='root', MASTER_CONNECT_RETRY=1,
            MASTER_USE_GTID=slave_pos, MASTER_DELAY=${seconds}${demoted ? ', MASTER_DEMOTE_TO_SLAVE=1' : ''}`
        : `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${port}, SOURCE_USER='root', SOURCE_CONNECT_RETRY=1,
            SOURCE_AUTO_POSITION=1, SOURCE_DELAY=${seconds}, GET_SOURCE_PUBLIC_KEY=1`,
    );
    await root(server).query(flavour === 'mariadb' ? 'START SLAVE' : 'START REPLICA');
  }
  /** Waits until a replica has what its source has now. */
  async function hasAll(server: number): Promise<void> {
    const name = flavour === 'mariadb' ? '@@gtid_current_pos' : '@@global.gtid_executed';
    const { at } = await ask(1 - server, `SELECT ${name} AS at`);
    const sql =
      flavour === 'mariadb'
        ? `SELECT MASTER_GTID_WAIT('${at}', ${WITHIN_MS / 1000}) AS late`
        : `SELECT WAIT_FOR_EXECUTED_GTID_SET('${at}', ${WITHIN_MS / 1000}) AS late`;
    if ((await ask(server, sql)).late === 0) return;
    const status = await ask(server, flavour === 'mariadb' ? 'SHOW SLAVE STATUS' : 'SHOW REPLICA STATUS');
    throw new Error(`the replica does not come up with its source: ${JSON.stringify(status)}`);
  }

  try {
    await connectAll();
    if (flavour === 'mysql') {
      // Copies of one folder have one id.
      const { folder } = await ask(1, 'SELECT @@datadir AS folder');
      await second.kill();
      await rm(join(folder, 'auto.cnf'), { force: true });
      await second.start();
      await connectAll();
      for (const server of [0, 1]) await root(server).query('RESET BINARY LOGS AND GTIDS');
    }
    await root(1).query('SET GLOBAL read_only = 1');
    await follow(1, 0, false);
    await new Promise<void>((resolve) => vip.listen(0, '127.0.0.1', resolve));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `mysql://root@127.0.0.1:${(vip.address() as AddressInfo).port}/`,
    servers: [first, second],
    get primary() {
      return primary;
    },
    root,
    cutOff: async () => void (await root(1 - primary).query(STOP[flavour])),
    async promote({ fate = 'detached', readOnly = true, lossy = false } = {}) {
      const [old, next] = [primary, 1 - primary];
      if (readOnly) await root(old).query('SET GLOBAL read_only = 1');
      if (!lossy) await hasAll(next);
      await root(next).query(STOP[flavour]);
      await root(next).query(flavour === 'mariadb' ? 'RESET SLAVE ALL' : 'RESET REPLICA ALL');
      await root(next).query('SET GLOBAL read_only = 0');
      primary = next;
      if (fate !== 'detached') await follow(old, fate === 'lagging' ? LAG_S : 0, true);
    },
    async balance(on) {
      await root(1 - primary).query(`SET GLOBAL read_only = ${on ? 0 : 1}`);
      turns = on;
    },
    async attach() {
      const old = 1 - primary;
      await root(old).query('SET GLOBAL read_only = 1');
      const demoted = flavour === 'mariadb' ? Object.keys(await ask(old, 'SHOW SLAVE STATUS')).length === 0 : true;
      await follow(old, 0, demoted);
      await hasAll(old);
    },
    stop,
  };
}
