// Judges refusals again and stores those that pass as contents: each once, however often that is asked for.
import type { Config } from '../config/config.ts';
import { decodeHead, publicUrlOf } from '../http/head.ts';
import type { Log } from '../observe/log.ts';
import type { NewContent } from '../store/contents.ts';
import { failed } from '../store/db.ts';
import type { Store } from '../store/open.ts';
import {
  findRefusedBody,
  listRefusals,
  type RefusalFilter,
  type RefusalRow,
  releaseRefusal,
  saveReason,
} from '../store/refusals.ts';
import { findWebhook } from '../store/webhooks.ts';
import type { Incoming } from '../verify/request.ts';
import type { CertificateStore } from './certificates.ts';
import type { Sealer } from './sealer.ts';
import { judgeRequest, storedTarget, type Target, toJudged } from './target.ts';

export interface ReleaseParts {
  readonly store: Store;
  readonly config: Pick<Config, 'publicUrl'>;
  readonly sealer: Sealer;
  /** Left out: what needs a certificate goes on waiting. */
  readonly certificates?: CertificateStore;
  /** A moment as the column `dt` has it. */
  readonly clockText: (ms: number) => string;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  /** Told of released contents, so that consumers and lists of this process that wait get them at once. */
  readonly onReleased?: (rows: readonly NewContent[], ids: readonly number[]) => void;
}

export interface Releases {
  readonly released: { readonly id: number; readonly content_id: number }[];
  readonly kept: { readonly id: number; readonly reason: string }[];
}

// Refusals that one call judges, and that one query reads.
const MOST = 1_000;
const PAGE = 100;
const UNVERIFIED = { kind: 'accepted', verified: 'none' } as const;

/** The webhook as it is now; undefined when it is gone. */
async function targetOf({ store, sealer }: ReleaseParts, userId: number, whId: number): Promise<Target | undefined> {
  const webhook = await findWebhook(store, userId, whId);
  return webhook?.settings ? storedTarget(sealer, webhook, webhook.settings) : undefined;
}

/** The id of the content, or the reason why the refusal stays. */
async function releaseOne(
  parts: ReleaseParts,
  target: Target | undefined,
  refusal: RefusalRow,
  userId: number,
  force: boolean,
) {
  const { store, config, clockText } = parts;
  if (refusal.released_as !== null) return `It was released before, as content ${refusal.released_as}.`;
  const body = await findRefusedBody(store.db, userId, refusal.id);
  if (!body) return 'Its body was not kept, so nothing can be made of it.';
  if (!target) return 'Its webhook is gone.';
  const { method, target: url, headers } = decodeHead(refusal.head);
  const { received_ms, ip, head } = refusal;
  const incoming: Incoming = {
    method,
    publicUrl: publicUrlOf(url, config.publicUrl),
    headers: headers.flat(),
    body,
    receivedMs: received_ms,
  };
  const verdict = await judgeRequest(target, incoming, parts.certificates);
  // Forced: without verification, as the owner asked; the id and type of the event are kept all the same.
  const { event_id = null, event_type = null } =
    verdict.kind === 'unreadable' || verdict.kind === 'busy' ? {} : verdict;
  const judged = force && verdict.kind !== 'accepted' ? { ...UNVERIFIED, event_id, event_type } : verdict;
  if (judged.kind === 'unreadable')
    return 'The secrets of its webhook cannot be read: SECRETS_KEY is not the right one.';
  if (judged.kind === 'busy') return 'Too many certificates are being asked for: release it again in a minute.';
  if (judged.kind !== 'accepted') {
    // The owner has to know the present reason: the secret that was missing may have been set since, and be a wrong one.
    if (judged.reason !== refusal.reason) await saveReason(store.db, refusal.id, judged.reason);
    return judged.reason;
  }
  const row: NewContent = {
    user_id: userId,
    wh_id: refusal.wh_id,
    content: body,
    api: 1,
    dt: clockText(received_ms),
    received_ms,
    ip,
    head,
    judged: toJudged(target, judged, refusal.id),
  };
  const id = await releaseRefusal(store, refusal.id, row).catch((error: unknown) => {
    // Those behind it must not wait for a row that a rule of another application refuses.
    if (!failed(error, 'data', 'duplicate')) throw error;
    parts.log?.warn({ error, refusal: refusal.id }, 'the database refuses a content that is to be released');
    return 'A rule of the database refuses this content. The operator finds the rule in the log.' as const;
  });
  if (typeof id === 'string') return id;
  if (id === undefined) return 'It was released before.';
  parts.onReleased?.([row], [id]);
  return id;
}

/** One refusal of a user. */
export async function release(
  parts: ReleaseParts,
  userId: number,
  refusal: RefusalRow,
  force: boolean,
): Promise<Releases> {
  const target = await targetOf(parts, userId, refusal.wh_id);
  const done = await releaseOne(parts, target, refusal, userId, force);
  const { id } = refusal;
  return typeof done === 'number'
    ? { released: [{ id, content_id: done }], kept: [] }
    : { released: [], kept: [{ id, reason: done }] };
}

/** All refusals that match, oldest first, at most 1,000 a call; `next` is where the rest begins. */
export async function releaseMany(
  parts: ReleaseParts,
  userId: number,
  filter: Omit<RefusalFilter, 'from' | 'limit' | 'releasable'> & { readonly wh_id: number },
  { force, from: start = 0 }: { readonly force: boolean; readonly from?: number },
): Promise<Releases & { readonly next: number | undefined }> {
  const target = await targetOf(parts, userId, filter.wh_id);
  const outcome: Releases = { released: [], kept: [] };
  let from = start;
  for (let seen = 0; seen < MOST; ) {
    const page = await listRefusals(parts.store.db, userId, { ...filter, releasable: true, from, limit: PAGE });
    for (const refusal of page) {
      const done = await releaseOne(parts, target, refusal, userId, force);
      if (typeof done === 'number') outcome.released.push({ id: refusal.id, content_id: done });
      else outcome.kept.push({ id: refusal.id, reason: done });
      from = refusal.id + 1;
    }
    seen += page.length;
    if (page.length < PAGE) return { ...outcome, next: undefined };
  }
  return { ...outcome, next: from };
}

/** Releases requests that came before the secret of their webhook was set. Never rejects: the rest is tried again later. */
export async function releaseWaiting(parts: ReleaseParts, userId: number, whId: number): Promise<number> {
  let count = 0;
  try {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const filter = { wh_id: whId, kind: 'secret_missing' };
      const { released, next } = await releaseMany(parts, userId, filter, { force: false, from });
      count += released.length;
      from = next;
    }
    if (count > 0)
      parts.log?.info({ wh_id: whId, released: count }, 'requests that came before their secret were released');
  } catch (error) {
    parts.log?.warn({ error, wh_id: whId }, 'requests that came before their secret were not all judged yet');
  }
  return count;
}
