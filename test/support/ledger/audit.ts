// Compares a ledger of webhooks with all that can be fetched: what was acked must be there, once, byte for byte.
import { createHash } from 'node:crypto';
import { type Event, readLedger } from './load.ts';
import { latest } from './readers.ts';
import type { Verdict } from './verdict.ts';

export interface Audit {
  readonly sent: number;
  readonly acked: number;
  readonly refused: number;
  /** The connection broke, or the sender itself ended: stored or not, both are right. */
  readonly unknown: number;
  /** Contents that can be fetched. */
  readonly stored: number;
  readonly unknownStored: number;
  /** A 503 may say that nobody knows; the sender comes again. */
  readonly refusedStored: number;
  /** Acked, but not to be fetched: must be empty. */
  readonly missing: readonly string[];
  /** Fetched more than once, though nothing was sent twice. */
  readonly duplicates: readonly string[];
  /** Other bytes than were sent, something that was never sent, or a content without its request: half a transaction. */
  readonly corrupted: readonly string[];
  /** Longest wait for an outcome. */
  readonly slowestMs: number;
}

export interface AuditOptions {
  /** http://HOST:PORT */
  readonly url: string;
  /** The Authorization header. */
  readonly auth: string;
  readonly whids: readonly (number | 'all')[];
  /** No content of the ledger has a lower id. */
  readonly from?: number;
}

// An empty page is not the end: a search without an index may take longer than one call.
const PATIENCE_MS = 30_000;

/** Reads every page by next_id and judges each webhook of the ledger. */
export async function audit(path: string, options: AuditOptions): Promise<Audit> {
  const { sent, ended, slowestMs } = outcomes(readLedger(path));
  const seen = new Map<string, number>();
  const corrupted: string[] = [];
  for (const whid of options.whids) {
    for await (const { id, bytes, whole } of contents(options, whid)) {
      const { name, sha256, good } = open(bytes);
      if (!whole) corrupted.push(`content ${id}: ${name} without its request`);
      else if (!good || sent.get(name) !== sha256) corrupted.push(`content ${id}: ${name}`);
      else seen.set(name, (seen.get(name) ?? 0) + 1);
    }
  }
  const count = { acked: 0, refused: 0, unknown: 0, unknownStored: 0, refusedStored: 0 };
  const missing: string[] = [];
  for (const name of sent.keys()) {
    const kind = ended.get(name) ?? 'unknown';
    count[kind]++;
    if (kind === 'acked' && !seen.has(name)) missing.push(name);
    if (kind === 'unknown' && seen.has(name)) count.unknownStored++;
    if (kind === 'refused' && seen.has(name)) count.refusedStored++;
  }
  const duplicates = [...seen].filter(([, times]) => times > 1).map(([name]) => name);
  return { sent: sent.size, ...count, stored: seen.size, missing, duplicates, corrupted, slowestMs };
}

function outcomes(events: readonly Event[]) {
  const sent = new Map<string, string>();
  const ended = new Map<string, 'acked' | 'refused' | 'unknown'>();
  const began = new Map<string, number>();
  let slowestMs = 0;
  for (const { at, kind, id, what } of events) {
    if (kind === 'sent') {
      sent.set(id, what);
      began.set(id, at);
    } else {
      ended.set(id, kind);
      slowestMs = Math.max(slowestMs, at - (began.get(id) ?? at));
    }
  }
  return { sent, ended, slowestMs };
}

interface Page {
  readonly whcontent: readonly {
    readonly id: number;
    readonly content: string;
    readonly encoding: string;
    readonly request: object | null;
  }[];
  readonly next_id: number;
}

async function* contents({ url, auth, from = 0 }: AuditOptions, whid: number | 'all') {
  const end = await latest({ url, auth });
  const until = Date.now() + PATIENCE_MS;
  for (let next = from; next < end; ) {
    const answer = await fetch(`${url}/whcontent?whid=${whid}&id=${next}&limit=100`, {
      headers: { authorization: auth },
    });
    if (answer.status !== 200) throw new Error(`GET /whcontent answered ${answer.status}: ${await answer.text()}`);
    const page = (await answer.json()) as Page;
    for (const { id, content, encoding, request } of page.whcontent)
      yield { id, bytes: Buffer.from(content, encoding === 'base64' ? 'base64' : 'utf8'), whole: request !== null };
    if (page.next_id === next && Date.now() > until) throw new Error(`the list stands at ${next}, before ${end}`);
    next = page.next_id;
  }
}

function open(bytes: Buffer): { name: string; sha256: string; good: boolean } {
  const end = bytes.indexOf('\n');
  const [name = '', sha256 = ''] = bytes.toString('latin1', 0, Math.max(0, end)).split(' ');
  const good =
    createHash('sha256')
      .update(bytes.subarray(end + 1))
      .digest('hex') === sha256;
  return { name: name || `${bytes.length} bytes`, sha256, good };
}

/** One line of figures. */
export const figures = (a: Audit): string =>
  `sent ${a.sent}, acked ${a.acked}, refused ${a.refused}, unknown ${a.unknown}; acked but missing ${a.missing.length}, ` +
  `duplicates ${a.duplicates.length}, corrupted ${a.corrupted.length}; stored of unknown ${a.unknownStored}, ` +
  `of refused ${a.refusedStored}; slowest answer ${a.slowestMs} ms`;

/** As figures and failures. */
export function judgeAudit({
  sent,
  acked,
  refused,
  unknown,
  slowestMs,
  missing,
  duplicates,
  corrupted,
}: Audit): Verdict {
  const figures: Record<string, number> = {
    'webhooks sent': sent,
    'webhooks acked': acked,
    'webhooks refused': refused,
    'webhooks unknown': unknown,
    'slowest ms': slowestMs,
  };
  const failures = acked === 0 ? ['no webhook was acked'] : [];
  for (const [kind, list] of Object.entries({ missing, duplicates, corrupted })) {
    figures[`webhooks ${kind}`] = list.length;
    if (list.length > 0) failures.push(`webhooks ${kind}: ${list.length}: ${list.slice(0, 5).join('; ')}`);
  }
  return { figures, failures };
}
