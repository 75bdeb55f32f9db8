// Notes refusals beside the answer: in batches, never in the way of a sender, dropped when they come too fast.
import { overLimit, unavailable } from '../errors.ts';
import { warnSeldom } from '../flow/trouble.ts';
import type { Incoming } from '../receive/incoming.ts';
import type { RefusalKind } from '../schema.ts';
import { eventKey } from '../store/events.ts';
import { insertRefusals, type NewRefusal } from '../store/refusals.ts';
import type { Context } from './context.ts';
import { measureRefusals } from './measure.ts';
import { createNearMisses } from './nearmisses.ts';
import type { Target } from './targets.ts';
import { createUnjudged } from './unjudged.ts';

const MOST_WAITING = 1_000;
const MOST_WAITING_BYTES = 32 * 1024 * 1024;
const BATCH = 64;
const BATCH_BYTES = 2 * 1024 * 1024;
// Of one webhook no more is noted in an hour, heads and bodies: whoever knows a URL must not fill the disk with forgeries.
const HOUR_MS = 3_600_000;
const HOUR_BYTES = 256 * 1024 * 1024;
// What waits for its secret has no hour: it is bounded by what is kept of it. Told here, to its owner and to its senders.
const FULL = 'So many requests wait for the secret of this webhook that no more are kept: its owner has to set it.';
const FULL_S = 60;
// About what a row takes besides, in the table and its indexes.
const ROW_BYTES = 300;

interface Refused {
  readonly kind: RefusalKind;
  readonly reason: string;
  readonly received_ms: number;
  readonly ip: string;
  readonly head: Buffer;
  /** Bytes of the body as far as they are known. */
  readonly size: number | null;
  /** What is kept whole: its body, and the event that it says to be. */
  readonly incoming?: Incoming;
  readonly event_id?: string | null;
}

export interface Refusals {
  /** Notes it when there is time and room. */
  add(target: Target, refused: Refused): void;
  /**
   * Resolves once it is stored with its body, to wait for its secret. Rejects with a 503 when it cannot be: its sender has
   * to come again.
   */
  keep(target: Target, refused: Refused): Promise<void>;
  drain(): Promise<void>;
}

interface Waiting {
  readonly row: NewRefusal;
  readonly near: () => Promise<string | null>;
  readonly done: (error?: unknown) => void;
}

const bytesOf = ({ head, content }: Pick<NewRefusal, 'head' | 'content'>): number =>
  head.length + (content?.length ?? 0);

export function createRefusals(context: Context, { hourBytes = HOUR_BYTES } = {}): Refusals {
  const { store, log, now } = context;
  const nearMiss = createNearMisses(context);
  const unjudged = createUnjudged(store);
  const unfound = warnSeldom(log, 'cannot look for what refused requests were near to; they are noted without it');
  const count = measureRefusals(context.metrics);
  let waiting: Waiting[] = [];
  let bytes = 0;
  let running: Promise<void> | undefined;
  let kept = new Map<number, number>();
  let hour = 0;

  /** False once the refusals of this webhook have taken their share of the hour. */
  function admit({ wh_id }: Target, size: number): boolean {
    if (hour !== Math.floor(now() / HOUR_MS)) kept = new Map();
    hour = Math.floor(now() / HOUR_MS);
    const sum = (kept.get(wh_id) ?? 0) + size + ROW_BYTES;
    if (sum > hourBytes) return false;
    kept.set(wh_id, sum);
    return true;
  }

  function take(): Waiting[] {
    let sum = 0;
    let count = 0;
    for (const { row } of waiting) {
      sum += bytesOf(row);
      if (count === BATCH || (count > 0 && sum > BATCH_BYTES)) break;
      count++;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  /** What cannot be looked for is left out: a refusal counts more than what it was near to. */
  async function nearOf(target: Target, incoming: Incoming): Promise<string | null> {
    try {
      return await nearMiss(target, incoming);
    } catch (error) {
      unfound(error);
      return null;
    }
  }

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = take();
      try {
        const rows: NewRefusal[] = [];
        for (const { row, near } of batch) rows.push({ ...row, near_miss: await near() });
        await insertRefusals(store.db, rows);
        for (const { done } of batch) done();
      } catch (error) {
        log.warn({ error, refusals: batch.length }, 'refusals were not noted');
        for (const { done } of batch) done(error);
      }
      for (const { row } of batch) bytes -= bytesOf(row);
    }
    running = undefined;
  }

  function push(target: Target, refused: Refused, done: (error?: unknown) => void): boolean {
    const { kind, reason, received_ms, ip, head, size, incoming, event_id } = refused;
    count(kind);
    const content = incoming?.body ?? null;
    const mine = bytesOf({ head, content });
    if (waiting.length >= MOST_WAITING || bytes + mine > MOST_WAITING_BYTES) return false;
    if (kind !== 'secret_missing' && !admit(target, mine)) return false;
    const { user_id, wh_id } = target;
    const event_key = event_id ? eventKey(user_id, event_id) : null;
    const row = { user_id, wh_id, kind, reason, near_miss: null, size, received_ms, ip, head, content, event_key };
    bytes += mine;
    const near = async () => (incoming && kind === 'signature' ? nearOf(target, incoming) : null);
    waiting.push({ row, near, done });
    running ??= run();
    return true;
  }

  return {
    add: (target, refused) => void push(target, refused, () => {}),
    async keep(target, refused) {
      const busy = (cause?: unknown) =>
        unavailable('This request cannot be kept now, nothing was stored. Send it again later.', cause);
      const { head, incoming, ...more } = refused;
      const mine = bytesOf({ head, content: incoming?.body ?? null });
      const { room, first } = await unjudged.take(target.wh_id, mine).catch((error: unknown) => {
        throw busy(error);
      });
      if (first) push(target, { ...more, head, kind: 'limit', reason: FULL }, () => {});
      if (!room) throw overLimit(FULL, FULL_S);
      await new Promise<void>((resolve, reject) => {
        if (!push(target, refused, (error) => (error ? reject(busy(error)) : resolve()))) reject(busy());
      });
    },
    drain: async () => running,
  };
}
