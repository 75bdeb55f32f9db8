// Who uses the programs of a world: senders, workers, readers, owners, and the other application.
import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { PullOptions } from '../../../src/consumers/pull.ts';
import { Problem } from '../../../src/errors.ts';
import type { Cancellation } from '../../../src/reading/tail.ts';
import { StoreError } from '../../../src/store/db.ts';
import { deleteContent } from '../../../src/store/retention.ts';
import { releaseMany, releaseWaiting } from '../../../src/webhooks/release.ts';
import { changeWebhook } from '../../../src/webhooks/webhooks.ts';
import type { World } from '../world.ts';
import type { Ledger, Letter } from './ledger.ts';
import type { Program } from './program.ts';
import type { Server } from './server.ts';
import type { Storage } from './storage.ts';

export interface Outside {
  readonly world: World;
  readonly server: Server;
  readonly ledger: Ledger;
  readonly programs: readonly Program[];
  /** The faults have ended, and everybody does his best. */
  readonly calm: () => boolean;
}

export interface Webhook {
  readonly id: number;
  readonly user: number;
  readonly path: string;
  /** Its requests are verified, once its owner has set the secret. */
  readonly signed: boolean;
}
export interface Consumer {
  readonly user: number;
  readonly name: string;
  readonly whids: readonly number[] | null;
  readonly ordered: boolean;
  readonly lease_seconds: number;
  readonly max_attempts: number;
}

const SECRET = 'a secret of some length';
const COLUMNS = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
// Of a large body: what follows the name of its letter. One for all, for it is only looked at.
const PADDING = Buffer.alloc(4 * 1024 * 1024, ' ');
const MIDDLE_BYTES = 60_000;
const SMALL_BYTES = 64 * 1024;
// As in receiver/writer.ts: where 64 MiB wait for the database, nothing more is taken.
const QUEUE_BYTES = 64 * 1024 * 1024;
// A webhook that is not known yet is read within 3 s, and a content is stored within 4 s, or its sender gets a 503.
const ANSWERED_WITHIN_MS = 8_000;
// What waits for a secret is counted first, and stored by a statement that may wait for others.
const KEPT_WITHIN_MS = 30_000;

const detailOf = (body: string): string => /"detail":"([^"]*)/.exec(body)?.[1] ?? '';
const DAY_MS = 86_400_000;
// What is there already becomes old enough to be removed in the course of the world; the newest came a moment ago.
const OLD = 10;

/** Users, webhooks and contents of the last day, as they are before anything begins. */
export function settle(
  { world, server, ledger }: Pick<Outside, 'world' | 'server' | 'ledger'>,
  storage: Storage,
  webhooks: readonly Webhook[],
  withOld: boolean,
): void {
  for (const user of new Set(webhooks.map((one) => one.user)))
    storage.insert('tbluser', ['id', 'email', 'phone', 'token', 'status', 'pwd'], [[user, '', '', `t${user}`, 1, '']]);
  for (const { id, user, path, signed } of webhooks) {
    const settings = signed ? '{"preset":"github"}' : '{}';
    storage.insert(
      'tblwhid',
      ['id', 'user_id', 'wh_url', 'wh_name', 'status'],
      [[id, user, Buffer.from(path), Buffer.from(`w${id}`), 1]],
    );
    storage.insert('restante_webhook', ['wh_id', 'user_id', 'settings', 'created_ms'], [[id, user, settings, 0]]);
    storage.insert('restante_key', ['url_key', 'wh_id'], [[path.slice('/in/'.length), id]]);
  }
  if (!withOld) return;
  for (let id = 1; id <= OLD; id++) {
    const { id: whId, user } = world.pick(webhooks);
    const name = world.chance(0.3) ? `f-${id}` : `o${id}`;
    const at = id === OLD ? -1_000 : -DAY_MS + (id - 3) * 150;
    const content = Buffer.from(`${name} `);
    const seen = server.clock() + at;
    storage.insert('tblwh', ['id', ...COLUMNS], [[id, content, '192.0.2.1', 1, 'then', user, whId]]);
    storage.insert('restante_position', ['pos', 'id', 'user_id', 'wh_id', 'seen_ms'], [[id, id, user, whId, seen]]);
    const request = [id, content.length, crc32(content), seen, '192.0.2.1', null];
    if (name.startsWith('o'))
      storage.insert('restante_request', ['id', 'size', 'crc', 'received_ms', 'ip', 'head'], [request]);
    ledger.old(id, name, user, whId, at);
  }
  storage.run("UPDATE restante_meta SET v = ? WHERE k = 'seq'", [OLD + 1]);
}

/** What a call came to; undefined: nobody knows. An error that is none of ours ends the run. */
function answerOf<T>(world: World, outcome: Awaited<ReturnType<Program['call']>>): T | undefined {
  if (!outcome) return undefined;
  if ('value' in outcome) return outcome.value as T;
  const { error } = outcome;
  if (error instanceof StoreError && error.failure !== 'other') return undefined;
  if (error instanceof StoreError && /restarted|rows that were seen/.test(error.message)) return undefined;
  if (error instanceof Problem && error.status !== 500) return undefined;
  if (error instanceof Error && error.name === 'AbortError') return undefined;
  world.note(() => String((error as Error)?.stack));
  return world.violation(`a call failed: ${error}`);
}

export interface SenderOptions {
  readonly webhooks: readonly Webhook[];
  readonly until: number;
  readonly idleMs: number;
  readonly burst: number;
  /** How many of its bodies are large, or of middle size. */
  readonly large: number;
  readonly middle: number;
}

/** `slack`: for how long processes, the network and the database may stand still in this world. */
export function createPost({ world, ledger, programs, calm }: Outside, slack: number) {
  let names = 0;
  let under = 0;
  async function post(webhook: Webhook, size: number): Promise<boolean> {
    const name = `s${++names}`;
    const begin = Buffer.from(`${name} `);
    const large = size > SMALL_BYTES;
    const body = size > begin.length ? Buffer.concat([begin, PADDING.subarray(begin.length, size)]) : begin;
    const forged = webhook.signed && world.chance(0.1);
    const signature = webhook.signed
      ? createHmac('sha256', forged ? 'no' : SECRET)
          .update(body)
          .digest('hex')
      : '';
    const headers: Record<string, string> = webhook.signed
      ? { 'X-Hub-Signature-256': `sha256=${signature}`, 'X-GitHub-Delivery': name, 'X-GitHub-Event': 'push' }
      : {};
    const letter: Letter = { name, user: webhook.user, whId: webhook.id, bytes: body.length, forged };
    const program = world.pick(programs);
    under++;
    const began = world.now();
    const mayHave = ledger.mayStore(letter);
    const { answer, queued } = await program.post({ path: webhook.path, headers, body }, large ? 1024 * 1024 : 1_000);
    under--;
    world.note(
      () =>
        `${name} to ${webhook.id} by ${program.name}: ${answer ? `${answer.status} ${detailOf(answer.body)}` : 'nothing'}`,
    );
    if (!answer) return false;
    const most = webhook.signed ? KEPT_WITHIN_MS : ANSWERED_WITHIN_MS;
    if (world.now() - began > most + slack)
      world.violation(`${name} got its answer after ${(world.now() - began).toFixed(0)} ms`);
    if (answer.status >= 200 && answer.status < 300) {
      ledger.acknowledged(letter);
      if (!mayHave) world.violation(`${name} was taken though its user has used up the quota`);
      if (queued > QUEUE_BYTES) world.violation(`${name} was taken while ${queued} bytes wait for the database`);
      return true;
    }
    if (answer.status === 404) world.violation(`${name} got a 404: ${answer.body}`);
    if (answer.status === 401 && !forged) world.violation(`${name} was called a forgery: ${answer.body}`);
    if (/nothing was stored/.test(answer.body)) ledger.denied(letter);
    if (calm() && answer.status === 503 && !large && mayHave)
      world.note(() => `${name} got a 503 though nothing is wrong`);
    return answer.status === 401;
  }
  return {
    get underWay() {
      return under;
    },
    /** Sends one until it is taken. */
    async last(webhook: Webhook): Promise<void> {
      while (!(await post(webhook, 0))) await world.sleep(100);
    },
    /** Sends now and then, several at once, and again what was not taken. */
    async run({ webhooks, until, idleMs, burst, large, middle }: SenderOptions): Promise<void> {
      while (world.now() < until) {
        await world.sleep(world.random() ** 2 * idleMs);
        const some = world.chance(0.3) ? world.int(1, burst) : 1;
        await Promise.all(
          Array.from({ length: some }, async () => {
            const webhook = world.pick(webhooks);
            const size = world.chance(large) ? PADDING.length : world.chance(middle) ? MIDDLE_BYTES : 0;
            for (let tries = 0; tries < 3 && !(await post(webhook, size)); tries++)
              await world.sleep(50 + world.random() * 500);
          }),
        );
      }
    },
  };
}

/** A caller who stays. */
const NEVER: Cancellation = { aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {} };

/** One worker of a consumer. */
export async function work({ world, ledger, programs, calm }: Outside, consumer: Consumer): Promise<void> {
  const { user, name, lease_seconds } = consumer;
  const leaseMs = lease_seconds * 1_000;
  let ack: { readonly lease: string; readonly ids?: readonly number[] } | undefined;
  let acking: readonly number[] = [];
  for (;;) {
    const program = world.pick(programs);
    const began = world.now();
    const waitMs = world.pick([0, 0, 300, 2_000]);
    const options: Omit<PullOptions, 'ack'> & { ack?: typeof ack } = {
      limit: world.pick([1, 3, 10]),
      waitMs,
      ...(ack ? { ack } : {}),
    };
    const sent = ack;
    const leaves = !calm() && world.chance(0.1);
    const outcome = await program.call(({ consumers }, life) => {
      const closing = new AbortController();
      // A client that closes its socket.
      if (leaves) world.later(world.random() * 400, () => closing.abort(), life);
      return consumers.pull(user, name, options, leaves ? closing.signal : NEVER);
    });
    ack = undefined;
    type Pulled = Awaited<ReturnType<NonNullable<Program['parts']>['consumers']['pull']>>;
    const pulled = answerOf<Pulled>(world, outcome);
    if (!pulled) {
      // Nobody knows whether the ack counted: it is sent again.
      if (sent && world.chance(0.7)) ack = sent;
      await world.sleep(20 + world.random() * 300);
      continue;
    }
    if (sent) {
      const not = new Set(pulled.conflicts.map(({ id }) => id));
      ledger.done(
        sent.lease,
        acking.filter((id) => !not.has(id)),
        began,
      );
    }
    const { items, lease } = pulled;
    if (!lease || items.length === 0) {
      if (waitMs === 0) await world.sleep(20 + world.random() * 150);
      continue;
    }
    if (leaves) continue;
    const ids = items.map(({ content }) => content.id);
    world.note(() => `${name} of ${user} has ${ids.join(' ')} by ${program.name}`);
    ledger.leased(name, lease, ids);
    for (const { content } of items) ledger.given(content.id, content.content, user);
    if (items.length > options.limit) world.violation(`${name} was given ${items.length} of ${options.limit}`);
    const mood = calm() ? 0 : world.random();
    await world.sleep(mood > 0.85 ? leaseMs * world.random() * 2 : world.random() * Math.min(30, leaseMs / 4));
    const some = ids.filter(() => world.chance(0.5));
    const other = world.pick(programs);
    const start = world.now();
    if (mood < 0.35) {
      ack = { lease };
      acking = ids;
    } else if (mood < 0.5 || mood > 0.9) {
      const call = world.chance(0.5) ? { lease } : { lease, ids: some };
      const done = answerOf<{ done: readonly number[] }>(
        world,
        await other.call(({ consumers }) => consumers.ack(user, name, call)),
      );
      if (done) ledger.done(lease, done.done, start);
    } else if (mood < 0.65) {
      const how = { delayMs: world.int(0, 200), dead: world.chance(0.2), reason: null };
      const call = world.chance(0.5) ? { lease } : { lease, ids: some };
      answerOf(world, await other.call(({ consumers }) => consumers.nack(user, name, call, how)));
    } else if (mood < 0.75) {
      answerOf(world, await other.call(({ consumers }) => consumers.extend(user, name, { lease })));
      await world.sleep(leaseMs * world.random());
      const done = answerOf<{ done: readonly number[] }>(
        world,
        await other.call(({ consumers }) => consumers.ack(user, name, { lease })),
      );
      if (done) ledger.done(lease, done.done, start);
    }
    // What is left: the worker has died.
  }
}

/** Makes the consumers, and tries until they are there. */
export async function makeConsumers({ world, programs }: Outside, consumers: readonly Consumer[]): Promise<void> {
  for (const { user, name, ...settings } of consumers)
    while (
      !answerOf(
        world,
        await world.pick(programs).call((parts) => parts.consumers.put(user, name, settings, 'earliest')),
      )
    )
      await world.sleep(100);
}

export interface Reader {
  /** Contents that are there, and that it was not given. */
  missing(): readonly number[];
}

/** A client of the list of all contents of a user. */
export function read({ world, ledger, programs, calm }: Outside, user: number): Reader {
  const got = new Set<string>();
  const name = `the reader of ${user}`;
  let next = 0;
  ledger.guard(name, user, () => next - 1);
  async function run(): Promise<void> {
    for (;;) {
      const program = world.pick(programs);
      const from = next;
      const limit = world.chance(0.3) && !calm() ? 2 : 100;
      const which = { userId: user, whid: 'all' } as const;
      type Page = Awaited<ReturnType<NonNullable<Program['parts']>['lists']['page']>>;
      const page = answerOf<Page>(world, await program.call(({ lists }) => lists.page({ ...which, from, limit })));
      if (!page) {
        await world.sleep(20 + world.random() * 200);
        continue;
      }
      if (page.reset !== undefined)
        world.violation(`${name} stands at ${from} and is told that there are ids up to ${page.reset} only`);
      let last = from - 1;
      for (const { id, content } of page.contents) {
        if (id <= last) world.violation(`${name} was given ${id} after ${last}`);
        last = id;
        got.add(ledger.given(id, content, user));
      }
      if (page.next < from) world.violation(`${name} stood at ${from} and is sent back to ${page.next}`);
      if (page.next > from)
        world.note(() => `${name} has ${page.contents.map(({ id }) => id).join(' ')} and goes on at ${page.next}`);
      next = page.next;
      if (page.contents.length > 0) continue;
      answerOf(
        world,
        await program.call(({ lists }) => lists.wait(which, page.next, world.pick([0, 200, 1_000]), NEVER)),
      );
      await world.sleep(world.random() * 50);
    }
  }
  world.spawn(run);
  return {
    missing: () =>
      ledger
        .present(user)
        .filter(({ letter }) => !got.has(letter))
        .map(({ id }) => id),
  };
}

/** The owner of a webhook sets its secret, as the API does it. */
export async function setSecret({ world, programs }: Outside, { id, user }: Webhook): Promise<void> {
  const parts = await world.pick(programs).call(async (all) => {
    await changeWebhook(all, user, id, { secrets: [SECRET] });
    void releaseWaiting(all, user, id);
    return true;
  });
  if (answerOf(world, parts)) return world.note(() => `the secret of ${id} is set`);
  await world.sleep(200);
  return setSecret({ world, programs } as Outside, { id, user } as Webhook);
}

/** The owner asks for all refusals to be judged again. */
export async function releaseAll({ world, programs }: Outside, { id, user }: Webhook): Promise<void> {
  answerOf(
    world,
    await world.pick(programs).call((parts) => releaseMany(parts, user, { wh_id: id }, { force: false })),
  );
}

/** An owner who moves consumers, asks for contents again, and deletes some. */
export async function meddle(
  { world, programs, ledger, calm }: Outside,
  consumers: readonly Consumer[],
  deletes: boolean,
): Promise<void> {
  for (;;) {
    await world.sleep(world.random() * 1_000);
    if (calm()) return;
    const { user, name } = world.pick(consumers);
    const chosen = ledger
      .present(user)
      .filter(() => world.chance(0.1))
      .map(({ id }) => id);
    const kind = world.random();
    if (kind < 0.2 && deletes && chosen[0] !== undefined) {
      const [id] = chosen;
      ledger.wish(id);
      answerOf(world, await world.pick(programs).call(({ store }) => deleteContent(store.db, user, id)));
      continue;
    }
    // Whatever comes of it, these may be handed out again; when its answer was lost, also a while later.
    ledger.recalled(name, user, Number.POSITIVE_INFINITY);
    const program = world.pick(programs);
    const outcome =
      kind < 0.4
        ? await program.call((parts) => parts.consumers.retry(user, name, world.chance(0.5) ? undefined : chosen))
        : kind < 0.7 && chosen.length > 0
          ? await program.call((parts) => parts.consumers.redeliver(user, name, chosen))
          : await program.call((parts) =>
              parts.consumers.seek(user, name, world.chance(0.5) ? 'earliest' : { id: chosen[0] ?? 0 }),
            );
    answerOf(world, outcome);
    ledger.recalled(name, user, world.now() + (outcome && 'value' in outcome ? 0 : 12_000));
  }
}

export interface ForeignOptions {
  readonly webhooks: readonly Webhook[];
  readonly until: number;
  readonly idleMs: number;
  readonly pauseMs: number;
  readonly deletes: boolean;
}

/** The other application: inserts as it pleases, keeps transactions open, rolls back, and deletes. */
export async function foreign(
  { world, server, ledger }: Outside,
  options: ForeignOptions,
  names: () => number,
): Promise<void> {
  const { webhooks, until, idleMs, pauseMs, deletes } = options;
  const survive = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  };
  while (world.now() < until) {
    await world.sleep(world.random() ** 2 * idleMs);
    if (!server.up) continue;
    const { user, id } = world.pick(webhooks);
    const transaction = server.foreign.begin();
    await survive(async () => {
      try {
        await server.foreign.lock(transaction);
        const victim = deletes && world.chance(0.15) ? ledger.present(user)[0] : undefined;
        if (victim) await server.foreign.change(transaction, 'DELETE FROM tblwh WHERE id = ?', [victim.id]);
        else
          for (let i = world.chance(0.7) ? 1 : world.int(2, 3); i > 0; i--) {
            const rows = Array.from({ length: world.int(1, 3) }, () => [
              Buffer.from(`f${names()} `),
              '192.0.2.1',
              1,
              'now',
              user,
              id,
            ]);
            await server.foreign.insert(transaction, COLUMNS, rows);
            if (i > 1) await world.sleep(world.random() ** 3 * pauseMs);
          }
        if (world.chance(0.15)) server.foreign.rollback(transaction);
        else await server.foreign.commit(transaction);
      } finally {
        server.foreign.rollback(transaction);
      }
    });
  }
}
