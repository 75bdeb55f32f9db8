// The rows of the neighbour matrix: for each resource how one tenant takes all that he gets of it, and what bounds him.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ROUTES } from '../../../src/api/app.ts';
import { type Engine, migratedDatabase } from '../../support/engines.ts';
import { freePort } from '../../support/servers.ts';
import { newUsers } from '../../support/users.ts';
import { startProgram } from '../../support/world.ts';

const MiB = 1024 * 1024;

/** What users share. A resource without a row fails the matrix. */
export const RESOURCES_OF_ALL = [
  ...[
    'webhooks',
    'settings bytes',
    'contents',
    'bytes',
    'consumers',
    'leases',
    'polls',
    'streams',
    'uploads',
    'searches',
  ],
  ...['refusals', 'secrets waiting', 'connections', 'headers', 'sign-in guesses', 'verdicts'],
];

/** It is bounded by what it is made of: by the rows that are named. */
export const ENDLESS = Symbol('bounded by others');

export interface Row {
  readonly name: string;
  readonly covers: readonly string[];
  /** The tenant takes what he gets, before anything is measured. */
  prepare?(matrix: Matrix): Promise<void>;
  /** What he does on each of some connections, again and again, while the neighbour is watched. */
  readonly lanes: number;
  load(matrix: Matrix, lane: number, round: number, until: AbortSignal): Promise<unknown>;
  /** More than the usual floor, in ms: twice the neighbour's own p99 is not reached while other programs use the cores, too. */
  readonly floorMs?: number;
  /** Whether he is refused when he asks for more than he may have. */
  readonly over: typeof ENDLESS | ((matrix: Matrix) => Promise<boolean>);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Matrix {
  readonly port: number;
  /** The tenant's webhook without rules. */
  readonly path: string;
  readonly auth: string;
  readonly neighbourId: number;
  /** A call of the tenant's. An answer above 64 KiB is not kept. */
  ask(method: string, path: string, body?: object | Buffer, headers?: Record<string, string>): Promise<Answer>;
  /** Makes a webhook of the tenant's, once for each name, and resolves with its path. Rejects when he may have no more. */
  webhook(name: string, settings?: object): Promise<string>;
  /** Connections that are closed when the row is over. */
  open(head: string): Socket;
  /** Starts the load of a row; what it returns ends it. */
  begin(row: Row): () => Promise<void>;
  /** Resolves when the service has nothing to do any more, or does not come to rest. */
  calm(): Promise<void>;
  /** What the neighbour has seen since this was last asked. */
  neighbour(): Promise<{ sent: number[]; polled: number[]; failed: string[]; gap: number }>;
  /** How the program ended, with the end of its log; undefined while it runs. */
  died(): string | undefined;
  stop(): Promise<void>;
}

// Ten answers in a row that come so soon.
const CALM_MS = 20;
const MOST_CALMING_MS = 3_000;

// Bounds that a test meets in a few seconds.
export const ENV = {
  WEBHOOKS_PER_USER: '60',
  RATE_PER_USER: '400',
  QUOTA_MB_PER_USER: '300',
  WAITING_PER_USER: '200',
  // So that rows can name webhooks by id, on the servers too.
  WEBHOOK_ID_FROM: '1',
  SECRETS_KEY: '5e'.repeat(32),
  LOG_LEVEL: 'error',
  // The neighbour speaks from an address of his own.
  HOST: '127.0.0.1',
};

export async function startMatrix(engine: Engine): Promise<Matrix> {
  const database = await migratedDatabase(engine);
  const folder = mkdtempSync(join(tmpdir(), 'restante-matrix-'));
  const users = await newUsers(database.url, 2);
  const [tenant, other] = users as [(typeof users)[0], (typeof users)[0]];
  const port = await freePort();
  const program = await startProgram(port, { ...ENV, DATABASE_URL: database.url }, join(folder, 'log'));
  let ending: string | undefined;
  void program.ended.then((how) => {
    ending = `the program has ended (${how}): ${program.log().slice(-2_000)}`;
  });
  const agent = new Agent({ keepAlive: true });
  const sockets = new Set<Socket>();

  const send = (
    auth: string | undefined,
    method: string,
    path: string,
    body: object | Buffer = Buffer.alloc(0),
    headers: Record<string, string> = {},
  ) =>
    new Promise<Answer>((resolve) => {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
      const asked = httpRequest(
        {
          port,
          host: '127.0.0.1',
          agent,
          method,
          path,
          headers: { ...(auth ? { authorization: auth } : {}), 'content-length': bytes.length, ...headers },
        },
        (answer) => {
          const kept: Buffer[] = [];
          let size = 0;
          answer.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size <= 64 * 1024) kept.push(chunk);
          });
          answer.on('error', () => resolve({ status: 0, text: '' }));
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(kept).toString() }));
        },
      );
      asked.on('error', () => resolve({ status: 0, text: '' }));
      asked.on('close', () => resolve({ status: 0, text: '' }));
      asked.end(bytes);
    });
  const make = async (auth: string, name: string, settings: object = {}): Promise<string> => {
    const { status, text } = await send(auth, 'POST', '/webhooks', { wh_name: name, ...settings });
    if (status === 201) return new URL(/"wh_url":"([^"]+)"/.exec(text)?.[1] ?? '').pathname;
    throw new Error(`a webhook: ${status} ${text}`);
  };
  const known = new Map<string, Promise<string>>();
  const theirs = await make(other.auth, 'neighbour');
  const mine = await make(tenant.auth, 'tenant');
  const worker = new Worker(new URL('../../support/neighbour.js', import.meta.url), {
    workerData: { port, path: theirs, auth: other.auth, localAddress: '127.0.0.2' },
  });
  const matrix: Matrix = {
    port,
    path: mine,
    auth: tenant.auth,
    neighbourId: other.id,
    ask: (method, path, body, headers) =>
      send(path.startsWith('/in/') ? undefined : tenant.auth, method, path, body, headers),
    webhook(name, settings) {
      // Several lanes ask for it at once.
      const path = known.get(name) ?? make(tenant.auth, name, settings);
      known.set(name, path);
      return path;
    },
    open(head) {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
      socket.write(head);
      sockets.add(socket);
      return socket;
    },
    begin(row) {
      const ended = new AbortController();
      const lanes = Array.from({ length: row.lanes }, async (_, lane) => {
        for (let round = 0; !ended.signal.aborted; round++) {
          await row.load(matrix, lane, round, ended.signal);
          // A lane that is refused at once must not be a loop that keeps this process busy.
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      });
      return async () => {
        ended.abort();
        for (const socket of sockets) socket.destroy();
        // What is under way is cut off: the next phase is a quiet one.
        agent.destroy();
        await Promise.all(lanes);
      };
    },
    async calm() {
      const until = performance.now() + MOST_CALMING_MS;
      for (let calm = 0; calm < 10 && performance.now() < until; ) {
        const began = performance.now();
        await send(undefined, 'GET', '/healthz');
        calm = performance.now() - began < CALM_MS ? calm + 1 : 0;
      }
    },
    neighbour: () =>
      new Promise((resolve) => {
        worker.once('message', resolve);
        worker.postMessage('phase');
      }),
    died: () => ending,
    async stop() {
      await worker.terminate();
      agent.destroy();
      for (const socket of sockets) socket.destroy();
      await program.kill();
      rmSync(folder, { recursive: true, force: true });
      await database.drop();
    },
  };
  return matrix;
}

const refused = async (asked: Promise<Answer>, ...statuses: number[]): Promise<boolean> =>
  statuses.includes((await asked).status);
const head = ({ auth }: Matrix, method: string, path: string, more = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${auth}\r\n${more}\r\n`;
const untilEnded = (until: AbortSignal): Promise<void> =>
  new Promise((resolve) => (until.aborted ? resolve() : until.addEventListener('abort', () => resolve())));
const times = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
async function idOf(matrix: Matrix, name: string): Promise<number> {
  const { text } = await matrix.ask('GET', '/webhooks?limit=1000');
  return Number(new RegExp(`"wh_id":(\\d+),"wh_url":"[^"]*","wh_name":"${name}"`).exec(text)?.[1]);
}
const consumerOf = (lane: number, round: number) => `c${(lane + round * 8) % 100}`;
const rsa = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }).toString();
const SMALL = Buffer.from('{"id":"evt_2"}');

export const ROWS: readonly Row[] = [
  {
    name: 'webhooks, each with the most settings',
    covers: ['webhooks', 'settings bytes'],
    lanes: 4,
    async prepare(matrix) {
      // Some are left for the other rows.
      for (const i of times(45)) await matrix.webhook(`w${i}`, { response: { body: 'x'.repeat(60_000) } });
    },
    load: async (matrix, lane, round) => {
      if (lane === 0) return matrix.ask('GET', '/webhooks?limit=1000');
      if (lane === 1) return matrix.ask('GET', '/whcontent');
      if (lane === 2) return matrix.ask('PATCH', `/webhooks/${3}`, { response: { body: 'y'.repeat(60_000) } });
      return matrix.ask('POST', await matrix.webhook(`w${round % 45}`), SMALL);
    },
    over: async (matrix) => {
      const made = [];
      for (const i of times(61)) made.push(await matrix.ask('POST', '/webhooks', { wh_name: `o${i}` }));
      for (const { status, text } of made)
        if (status === 201) await matrix.ask('DELETE', `/webhooks/${/"wh_id":(\d+)/.exec(text)?.[1]}`);
      return (
        made.at(-1)?.status === 409 &&
        (await refused(matrix.ask('PATCH', '/webhooks/3', { response: { body: 'x'.repeat(65_537) } }), 422))
      );
    },
  },
  {
    name: 'contents: as many as he may send',
    covers: ['contents', 'requests', 'queue'],
    lanes: 24,
    load: (matrix) => matrix.ask('POST', matrix.path, SMALL),
    over: async (matrix) => {
      // The unused ones of ten seconds come first, and a slow machine stores hardly more than he may send.
      for (const _ of times(15)) {
        const answers = await Promise.all(times(2_000).map(() => matrix.ask('POST', matrix.path, SMALL)));
        if (answers.some(({ status }) => status === 503)) return true;
      }
      return false;
    },
  },
  {
    name: 'consumers: a hundred, each pulled',
    covers: ['consumers'],
    lanes: 8,
    async prepare(matrix) {
      for (const i of times(100)) await matrix.ask('PUT', `/consumers/c${i}`, { start: 'latest' });
    },
    load: (matrix, lane, round) =>
      round % 4 === 0
        ? matrix.ask('GET', '/consumers')
        : matrix.ask('POST', `/consumers/${consumerOf(lane, round)}/pull`, { limit: 500 }),
    over: (matrix) => refused(matrix.ask('PUT', '/consumers/one-more', { start: 'latest' }), 409, 422, 429, 503),
  },
  {
    name: 'leases: all that there is, by every consumer',
    covers: ['leases'],
    lanes: 8,
    async prepare(matrix) {
      for (const _ of times(10)) await Promise.all(times(40).map(() => matrix.ask('POST', matrix.path, SMALL)));
      for (const i of times(100)) await matrix.ask('PUT', `/consumers/c${i}`, { start: 'latest' });
      for (const i of times(16)) await matrix.ask('POST', `/consumers/c${i}/seek`, Buffer.from('"earliest"'));
    },
    async load(matrix, lane, round) {
      const name = `c${(lane + round * 8) % 16}`;
      const { text } = await matrix.ask('POST', `/consumers/${name}/pull`, { limit: 100, lease_seconds: 600 });
      const lease = /"lease":"([^"]+)"/.exec(text)?.[1];
      if (!lease) return matrix.ask('POST', `/consumers/${name}/seek`, { id: 1 });
      await matrix.ask('POST', `/consumers/${name}/extend`, { lease });
      return matrix.ask('POST', `/consumers/${name}/nack`, { lease, dead: lane === 0, delay_seconds: 600 });
    },
    // Consumers and contents are bounded, and a consumer has one lease of a content at most.
    over: ENDLESS,
  },
  {
    name: 'polls: as many as he may have, woken again and again',
    covers: ['polls', 'waiting'],
    lanes: 41,
    async load(matrix, lane, _round, until) {
      if (lane > 0) return Promise.all(times(5).map(() => matrix.ask('GET', '/whcontent?whid=all&id=latest&wait=50')));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return until.aborted ? undefined : matrix.ask('POST', matrix.path, Buffer.alloc(20_000, 0x61));
    },
    over: (matrix) => waitsBounded(matrix, 'GET /whcontent?whid=all&id=latest&wait=50', ''),
  },
  {
    name: 'streams that do not read, beside those that do',
    covers: ['streams', 'waiting'],
    lanes: 2,
    async load(matrix, lane, round, until) {
      if (lane === 0) {
        for (const i of times(200)) {
          const socket = matrix.open(
            head(matrix, 'GET', '/whcontent?whid=all&id=latest', 'Accept: text/event-stream\r\n'),
          );
          if (i % 20 === 0) socket.resume();
          else socket.pause();
        }
        return untilEnded(until);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      return until.aborted
        ? undefined
        : matrix.ask('POST', matrix.path, Buffer.alloc(round % 5 === 0 ? MiB : 20_000, 0x61));
    },
    over: (matrix) => waitsBounded(matrix, 'GET /whcontent?whid=all&id=latest', 'Accept: text/event-stream\r\n'),
  },
  {
    name: 'uploads that take their time',
    covers: ['uploads', 'bodies'],
    lanes: 1,
    async load(matrix, _lane, _round, until) {
      for (const _ of times(60)) {
        const socket = matrix.open(
          `POST ${matrix.path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${10 * MiB - 100}\r\n\r\n`,
        );
        socket.resume();
        const drip = setInterval(() => socket.write(Buffer.alloc(1_000)), 100);
        socket.on('close', () => clearInterval(drip));
      }
      return untilEnded(until);
    },
    over: async (matrix) => {
      for (const _ of times(40))
        matrix.open(`POST ${matrix.path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${10 * MiB - 100}\r\n\r\n`).resume();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return refused(matrix.ask('POST', matrix.path, Buffer.alloc(10 * MiB - 100)), 503);
    },
  },
  {
    name: 'searches of everything he has',
    covers: ['searches'],
    lanes: 12,
    async prepare(matrix) {
      for (const _ of times(6)) await matrix.ask('POST', matrix.path, Buffer.alloc(10 * MiB - 100, 0x61));
    },
    load: (matrix, lane) =>
      matrix.ask(
        'GET',
        `/whcontent?whid=all&q=${lane % 2 ? `${'a'.repeat(200)}b` : encodeURIComponent('%_'.repeat(100))}&limit=100`,
      ),
    // How many may run at once is a bound of the room for searches.
    over: ENDLESS,
  },
  {
    name: 'refusals: forgeries with large bodies',
    covers: ['refusals'],
    lanes: 8,
    prepare: async (matrix) => void (await matrix.webhook('signed', { preset: 'github', secrets: ['x'.repeat(20)] })),
    load: async (matrix, lane, round) => {
      const path = await matrix.webhook('signed');
      if (lane > 0)
        return matrix.ask('POST', path, Buffer.alloc(100_000, round % 256), {
          'x-hub-signature-256': `sha256=${'a'.repeat(64)}`,
        });
      if (round % 10 === 9) return matrix.ask('POST', '/refusals/release', { whid: await idOf(matrix, 'signed') });
      return matrix.ask('GET', '/refusals?limit=100');
    },
    // So many bytes an hour are kept, and then nothing: the oldest go.
    over: ENDLESS,
  },
  {
    name: 'secrets waiting: requests that wait for theirs',
    covers: ['secrets waiting', 'unjudged'],
    lanes: 8,
    prepare: async (matrix) => void (await matrix.webhook('waiting', { preset: 'github' })),
    load: async (matrix, lane, round) => {
      const path = await matrix.webhook('waiting');
      if (lane > 0 || round % 20 !== 19)
        return matrix.ask('POST', path, Buffer.alloc(20_000, 0x61), {
          'x-hub-signature-256': `sha256=${'a'.repeat(64)}`,
        });
      const id = await idOf(matrix, 'waiting');
      await matrix.ask('PATCH', `/webhooks/${id}`, { secrets: ['y'] });
      return matrix.ask('PATCH', `/webhooks/${id}`, { secrets: null });
    },
    // 10,000 requests or 256 MiB for a webhook, UNJUDGED_MB_PER_USER for all: see test/receiver/refusals.test.ts.
    over: ENDLESS,
  },
  {
    name: 'connections that say nothing',
    covers: ['connections'],
    lanes: 1,
    async load(matrix, _lane, _round, until) {
      for (const i of times(400)) matrix.open(i % 2 ? '' : 'GET / HTTP/1.1\r\nX: ');
      return untilEnded(until);
    },
    // This machine is exempt, for its proxy comes from it: test/http/connections.test.ts has an address that is not.
    over: ENDLESS,
  },
  {
    name: 'headers: as long and as many as there may be',
    covers: ['headers'],
    lanes: 8,
    // Pages of 8 MiB are made JSON on the core that the neighbour uses, 3 ms in each turn: 100 ms on two cores that are free.
    floorMs: 300,
    load: (matrix, lane, round) => {
      const many = Object.fromEntries(times(1_500).map((i) => [`x${i}`, 'y'.repeat(20)]));
      const headers = (lane + round) % 2 ? { 'x-long': 'y'.repeat(60_000) } : many;
      return lane < 4
        ? matrix.ask('POST', matrix.path, SMALL, headers)
        : matrix.ask('GET', '/whcontent?whid=all&order=desc&limit=100', undefined, headers);
    },
    over: (matrix) => refused(matrix.ask('GET', '/', undefined, { 'x-long': 'y'.repeat(70_000) }), 431, 0),
  },
  {
    name: 'sign-in guesses, at the tenant and at his neighbour',
    covers: ['sign-in guesses', 'guesses'],
    lanes: 8,
    load: (matrix, lane, round) => {
      const credentials = `${lane % 2 ? matrix.neighbourId : round}:${lane}${round}`;
      return matrix.ask('GET', '/', undefined, {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      });
    },
    over: async (matrix) => {
      const guess = { authorization: `Basic ${Buffer.from(`${matrix.neighbourId}:x`).toString('base64')}` };
      for (const _ of times(30)) if (await refused(matrix.ask('GET', '/', undefined, guess), 429)) return true;
      return false;
    },
  },
  {
    name: 'verdicts: large bodies under twenty keys',
    covers: ['verdicts'],
    lanes: 6,
    // Keys take long to make: longer than a phase.
    prepare: async (matrix) =>
      void (await matrix.webhook('keys', {
        verify: {
          scheme: 'asymmetric',
          algorithm: 'rsa-sha256',
          encoding: 'base64',
          signature: { from: 'header:X-S', item_separator: ',' },
        },
        secrets: times(20).map(() => KEY),
      })),
    load: async (matrix, lane) => {
      const path = await matrix.webhook('keys');
      const signatures = times(4).map((i) => Buffer.alloc(256, i + 1).toString('base64'));
      return matrix.ask('POST', path, Buffer.alloc(lane === 0 ? 10 * MiB - 100 : 60_000, 0x61), {
        'x-s': signatures.join(),
      });
    },
    over: ENDLESS,
  },
  {
    name: 'tests of a webhook whose secret is long and whose rules read much',
    covers: ['tests'],
    lanes: 4,
    prepare: async (matrix) =>
      void (await matrix.webhook('tested', {
        verify: {
          scheme: 'hmac',
          signature: { from: 'header:X-S' },
          signed_string: `{body}${times(11)
            .map((i) => `{header:X-${i}}`)
            .join('')}`,
          event_type: 'form:payload#/a/b/type',
        },
        secrets: times(20).map((i) => `${i}${'s'.repeat(10_000)}`),
      })),
    load: async (matrix) => {
      await matrix.webhook('tested');
      return matrix.ask('POST', `/webhooks/${await idOf(matrix, 'tested')}/test`, {});
    },
    over: async (matrix) => {
      const path = `/webhooks/${await idOf(matrix, 'tested')}/test`;
      for (const _ of times(70)) if (await refused(matrix.ask('POST', path, {}), 429)) return true;
      return false;
    },
  },
  // The last: afterwards he may store nothing more.
  {
    name: 'bytes: large bodies, and pages of them',
    covers: ['bytes', 'stored', 'answers'],
    lanes: 6,
    // As above, and bodies of 2 MiB are copied to the thread that writes.
    floorMs: 1_000,
    load: (matrix, lane) =>
      lane < 3
        ? matrix.ask('POST', matrix.path, Buffer.alloc(2 * MiB, lane === 0 ? 0x61 : 0xff))
        : matrix.ask('GET', `/whcontent?whid=all&limit=100&order=desc`),
    // 300 MB, in bodies of 10 MiB.
    over: async (matrix) => {
      for (const _ of times(45))
        if (await refused(matrix.ask('POST', matrix.path, Buffer.alloc(10 * MiB - 100)), 503)) return true;
      return false;
    },
  },
];
const KEY = rsa();

/** Whether calls that wait are bounded for one user: of many, some are refused. */
async function waitsBounded(matrix: Matrix, call: string, accept: string): Promise<boolean> {
  const [method = '', path = ''] = call.split(' ');
  let refusals = 0;
  const sockets = times(400).map(() => matrix.open(head(matrix, method, path, accept)));
  for (const socket of sockets)
    socket.on('data', (chunk: Buffer) => {
      if (/^HTTP\/1.1 (429|503)/.test(chunk.toString('latin1'))) refusals++;
    });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  for (const socket of sockets) socket.destroy();
  return refusals > 0;
}

/** All routes of a tag, one after the other, each as its document says. */
export function routesRow(tag: string): Row {
  const routes = ROUTES.filter((route) => route.tag === tag);
  return {
    name: `calls: ${tag}`,
    covers: [],
    lanes: 6,
    load: (matrix, lane, round) => {
      const { method, url } = routes[(lane + round) % routes.length] as (typeof routes)[0];
      const id = String(1 + ((lane + round) % 50));
      const path = url.replace(':name', `c${id}`).replace(/:\w+/, id);
      return matrix.ask(method, path, method === 'GET' ? undefined : (BODIES[`${method} ${url}`] ?? {}));
    },
    over: ENDLESS,
  };
}
/** What each call with a body is sent. */
export const BODIES: Readonly<Record<string, object | Buffer>> = {
  'PATCH /webhooks/:wh_id': { wh_name: 'renamed' },
  'POST /webhooks/:wh_id/rotate': { grace_seconds: 0 },
  'POST /webhooks/:wh_id/test': {},
  'PUT /consumers/:name': { start: 'latest' },
  'POST /consumers/:name/pull': { limit: 100 },
  'POST /consumers/:name/dead/retry': {},
  'POST /refusals/:id/release': {},
  'POST /webhooks': { wh_name: 'one more' },
  'POST /whcontent': SMALL,
  'POST /consumers/:name/seek': { id: 1 },
  'POST /consumers/:name/redeliver': { ids: [1] },
  'POST /consumers/:name/ack': { lease: 'none' },
  'POST /consumers/:name/nack': { lease: 'none' },
  'POST /consumers/:name/extend': { lease: 'none' },
  'POST /refusals/release': { whid: 1 },
};
