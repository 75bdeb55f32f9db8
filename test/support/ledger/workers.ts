// Workers of a consumer, good and bad ones, and a ledger of every hand-out: what they got, when, and what became of it.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOf, clock, hashOf, type Tick, tickOf, whileMoving } from './readers.ts';

/** One content in the hand of one worker. */
export interface Handout {
  readonly id: number;
  readonly hash: string;
  readonly attempt: number;
  /** The lease as the answer told it, by the database's clock: start = until - lease_seconds. */
  readonly start: number;
  readonly until: number;
  /** A longer lease, and since when. */
  extended?: { readonly from: number; readonly until: number };
  /** When it was asked for and when the answer came, by the clock of this process. */
  readonly asked: number;
  readonly got: number;
  /** The lease that it came with. */
  readonly lease: string;
  /** What its worker did with it last. `unknown`: the answer to that did not come. */
  fate: 'kept' | 'acked' | 'ack unknown' | 'given back' | 'give-back unknown' | 'given up' | 'conflict';
  /** When that was asked, for the first time, and when the answer came. */
  askedAt: number;
  doneAt: number;
  /** Why it was a conflict. */
  reason: string;
}

/** How often out of 100 a worker does other than it should. */
export interface Behaviour {
  /** Forgets what it got. */
  readonly crash: number;
  /** Acks after the lease is over. */
  readonly slow: number;
  /** Acks a part, and forgets the rest or gives it back. */
  readonly partial: number;
  /** Gives everything back. */
  readonly nack: number;
  /** Gives everything up for good. */
  readonly dead: number;
  /** Keeps it for longer, then acks. */
  readonly extend: number;
  /** Closes the connection while it waits for an answer. */
  readonly hangUp: number;
  /** How long it works on what it got, at most. */
  readonly thinkMs: number;
}
export const GOOD: Behaviour = { crash: 0, slow: 0, partial: 0, nack: 0, dead: 0, extend: 0, hangUp: 0, thinkMs: 0 };
/** Does nothing wrong, but has something in hand most of the time. */
export const BUSY: Behaviour = { ...GOOD, thinkMs: 100 };
export const BAD: Behaviour = { crash: 8, slow: 6, partial: 12, nack: 8, dead: 1, extend: 6, hangUp: 5, thinkMs: 20 };

export interface ConsumerSettings {
  readonly whid?: readonly number[] | null;
  readonly lease_seconds: number;
  readonly max_attempts?: number;
  readonly ordered?: boolean;
}

export interface Workers {
  readonly name: string;
  readonly settings: ConsumerSettings;
  readonly handouts: readonly Handout[];
  readonly ticks: readonly Tick[];
  /** Answers that nobody should get, in words. */
  readonly faults: readonly string[];
  readonly failures: number;
  /** From now on all of them ack what they get; resolves to whether everything is acked, given up when nothing moves for so long. */
  finish(patienceMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

export interface WorkersOptions {
  /** Each worker calls one of these, in turn. */
  readonly urls: readonly string[];
  readonly auth: string;
  readonly name: string;
  readonly settings: ConsumerSettings;
  readonly count: number;
  readonly behaviour: Behaviour;
  readonly limit?: number;
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of each answer is what the caller expects of it
  readonly body: any;
}

/** POST, PUT or GET as a worker does it; rejects when there is no answer. */
export async function call(
  url: string,
  auth: string,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Answer> {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: auth },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

const chance = (percent: number): boolean => Math.random() * 100 < percent;

/** Makes the consumer, beginning after what is there now, and sets its workers to work. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { urls, auth, name, settings, count, limit = 100 } = options;
  const handouts: Handout[] = [];
  const ticks: Tick[] = [];
  const faults: string[] = [];
  const first = urls[0] as string;
  let behaviour = options.behaviour;
  let failures = 0;
  let acked = 0;
  let stopped = false;
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const path = `/consumers/${name}`;
  const made = await call(first, auth, 'PUT', path, { start: 'latest', ...settings });
  if (made.status > 201) throw new Error(`PUT ${path}: ${made.status} ${JSON.stringify(made.body)}`);

  /** Notes an outcome for all of a lease, or for what was asked of it. */
  function settle(asked: readonly Handout[], fate: Handout['fate'], askedAt: number, conflicts: readonly Conflict[]) {
    const reasons = new Map(conflicts.map(({ id, reason }) => [id, reason]));
    for (const one of asked) {
      const reason = reasons.get(one.id);
      if (!reason && fate === 'acked') acked++;
      // Asked again because nobody knew: it may have counted from the first time on.
      const first = one.askedAt || askedAt;
      Object.assign(one, { fate: reason ? 'conflict' : fate, reason: reason ?? '', askedAt: first, doneAt: clock() });
    }
  }

  async function pull(url: string, ack: Ack | undefined): Promise<Pulled | undefined> {
    const asked = clock();
    const hangUp = chance(behaviour.hangUp) ? AbortSignal.timeout(Math.ceil(Math.random() * 300)) : undefined;
    const signal = hangUp ? AbortSignal.any([hangUp, ended.signal]) : ended.signal;
    const acks = ack && (ack.part ? { lease: ack.lease, ids: ack.handouts.map(({ id }) => id) } : ack.lease);
    try {
      const { status, body } = await call(
        url,
        auth,
        'POST',
        `${path}/pull`,
        { limit, wait: 1, ...(acks ? { ack: acks } : {}) },
        signal,
      );
      if (status === 200) {
        if (ack) settle(ack.handouts, 'acked', asked, body.conflicts);
        return body as Pulled;
      }
      if (status !== 503) faults.push(`pull answered ${status}: ${JSON.stringify(body).slice(0, 200)}`);
    } catch {
      // No answer: nobody knows.
    }
    if (ack) settle(ack.handouts, 'ack unknown', asked, []);
    failures++;
    return undefined;
  }

  async function act(
    url: string,
    verb: string,
    asked: readonly Handout[],
    body: object,
    fate: Handout['fate'],
  ): Promise<Answer | undefined> {
    const at = clock();
    const ids = asked.map(({ id }) => id);
    try {
      const answer = await call(url, auth, 'POST', `${path}/${verb}`, { ids, ...body }, ended.signal);
      if (answer.status === 200 || answer.status === 409) {
        if (fate !== 'kept') settle(asked, fate, at, answer.body.conflicts);
        return answer;
      }
      if (answer.status !== 503)
        faults.push(`${verb} answered ${answer.status}: ${JSON.stringify(answer.body).slice(0, 200)}`);
    } catch {
      // Nobody knows.
    }
    if (fate !== 'kept') settle(asked, 'give-back unknown', at, []);
    failures++;
    return undefined;
  }

  function note(body: Pulled, asked: number): Handout[] {
    const got = clock();
    return body.items.map((item) => {
      const until = Date.parse(item.lease_until);
      const n = tickOf(item.content);
      if (n !== undefined) ticks.push({ n, at: got });
      const hash = hashOf(bytesOf(item));
      const { id, attempt } = item;
      return {
        id,
        attempt,
        hash,
        start: until - settings.lease_seconds * 1_000,
        until,
        asked,
        got,
        lease: body.lease ?? '',
        fate: 'kept',
        askedAt: 0,
        doneAt: 0,
        reason: '',
      };
    });
  }

  /** What a worker does with what it got; resolves to what the next pull acks. */
  async function treat(url: string, lease: string, mine: readonly Handout[]): Promise<Ack | undefined> {
    const leaseMs = settings.lease_seconds * 1_000;
    const whole: Ack = { lease, handouts: mine, part: false };
    if (chance(behaviour.crash)) return undefined;
    if (chance(behaviour.nack)) {
      const delay_seconds = chance(50) ? 0 : 1;
      await act(url, 'nack', mine, { lease, delay_seconds }, 'given back');
      return undefined;
    }
    if (chance(behaviour.dead)) {
      await act(url, 'nack', mine.slice(0, 3), { lease, dead: true, reason: 'no use' }, 'given up');
      const rest = mine.slice(3);
      return rest.length > 0 ? { lease, handouts: rest, part: true } : undefined;
    }
    if (chance(behaviour.slow)) {
      await sleep(leaseMs + Math.random() * 500, undefined, { signal: ended.signal }).catch(() => {});
      return whole;
    }
    if (chance(behaviour.extend)) {
      await sleep(leaseMs / 2, undefined, { signal: ended.signal }).catch(() => {});
      const answer = await act(url, 'extend', mine, { lease, lease_seconds: settings.lease_seconds * 2 }, 'kept');
      if (!answer) return whole;
      if (answer.status === 200) {
        // What was acked meanwhile by somebody else is done too, though nobody has it any more.
        const until = Date.parse(answer.body.lease_until);
        for (const one of mine) one.extended = { from: until - leaseMs * 2, until };
      }
      return whole;
    }
    if (chance(behaviour.partial) && mine.length > 1) {
      const half = mine.filter((_, i) => i % 2 === 0);
      if (chance(50))
        await act(
          url,
          'nack',
          mine.filter((_, i) => i % 2 === 1),
          { lease },
          'given back',
        );
      return { lease, handouts: half, part: true };
    }
    await sleep(Math.random() * behaviour.thinkMs);
    return whole;
  }

  async function work(url: string): Promise<void> {
    let ack: Ack | undefined;
    while (!stopped) {
      const asked = clock();
      const body = await pull(url, ack);
      if (!body) {
        // The same ack goes with the next pull: what was acked already is done.
        await sleep(30);
        continue;
      }
      const mine = note(body, asked);
      for (const one of mine) handouts.push(one);
      ack = body.lease ? await treat(url, body.lease, mine) : undefined;
    }
  }

  const loops = Promise.all(Array.from({ length: count }, (_, i) => work(urls[i % urls.length] as string)));
  return {
    name,
    settings,
    handouts,
    ticks,
    faults,
    get failures() {
      return failures;
    },
    async finish(patienceMs) {
      behaviour = GOOD;
      const done = async () => {
        const answer = await call(first, auth, 'GET', path).catch(() => undefined);
        return answer?.status === 200 && answer.body.backlog === 0 && answer.body.in_flight === 0;
      };
      return whileMoving(done, () => acked, patienceMs);
    },
    async stop() {
      stopped = true;
      ended.abort();
      await loops;
    },
  };
}

interface Conflict {
  readonly id: number;
  readonly reason: string;
}
interface Ack {
  readonly lease: string;
  readonly handouts: readonly Handout[];
  /** By ids; otherwise the whole lease. */
  readonly part: boolean;
}
interface Pulled {
  readonly lease: string | null;
  readonly items: readonly {
    readonly id: number;
    readonly content: string;
    readonly encoding: string;
    readonly attempt: number;
    readonly lease_until: string;
  }[];
}
