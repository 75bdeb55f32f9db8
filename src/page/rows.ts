// What the list shows of a content, and whether a filter lets it through. Bodies are not kept: there may be gigabytes.
import type { Content } from '../client/index.ts';
import { formOf } from './headers.ts';
import type { ListFilter } from './state.ts';

export interface ListRow {
  readonly id: number;
  readonly wh_id: number;
  /** Undefined for rows of other applications, whose clock is not ours to read. */
  readonly at: number | undefined;
  readonly dt: string;
  readonly method: string;
  readonly path: string;
  /** What the body is said to be, in a word. */
  readonly form: string;
  readonly type: string;
  readonly verified: string;
  readonly duplicate_of: number | null;
  readonly size: number;
  readonly preview: string;
}

const PREVIEW = 140;

/** A copy: a slice would keep the whole body in memory. */
const copy = (text: string): string => ` ${text}`.slice(1);

export function sizeOf({ content, encoding }: Pick<Content, 'content' | 'encoding'>): number {
  if (encoding === 'windows-1252') return content.length;
  if (encoding === 'base64') return Math.floor((content.length * 3) / 4) - (/=*$/.exec(content)?.[0].length ?? 0);
  let size = content.length;
  for (let i = 0; i < content.length; i++) {
    const code = content.charCodeAt(i);
    if (code > 0x7f) size++;
    // A surrogate pair is 4 bytes, 2 units: each counts one more.
    if (code > 0x7ff && (code < 0xd800 || code > 0xdfff)) size++;
  }
  return size;
}

export function rowOf(content: Content): ListRow {
  const { id, wh_id, dt, request, encoding } = content;
  const start =
    encoding === 'base64'
      ? ''
      : content.content
          .slice(0, 4 * PREVIEW)
          .replace(/\s+/g, ' ')
          .slice(0, PREVIEW);
  return {
    id,
    wh_id,
    at: request ? Date.parse(request.received_at) : undefined,
    dt,
    method: request?.method ?? '',
    path: request?.url.slice(0, 200) ?? '',
    form: formOf(request?.headers),
    type: request?.event_type ?? '',
    verified: request?.verified ?? '',
    duplicate_of: request?.duplicate_of ?? null,
    size: sizeOf(content),
    preview: copy(start),
  };
}

/** As the service would judge it. */
export function matches({ whid, q, event_type, event_id, verified, minutes }: ListFilter, content: Content): boolean {
  const { request } = content;
  if (whid !== 'all' && content.wh_id !== whid) return false;
  if (event_type && request?.event_type !== event_type) return false;
  if (event_id && request?.event_id !== event_id) return false;
  if (verified && (request?.verified ?? 'none') !== verified) return false;
  void minutes; // What comes now came just now.
  return !q || content.content.includes(q);
}

/** The filter as the query of a list. */
export const queryOf = ({ whid, q, event_type, event_id, verified, minutes }: ListFilter, now: number) => ({
  whid,
  q: q || undefined,
  event_type: event_type || undefined,
  event_id: event_id || undefined,
  verified: verified || undefined,
  since: minutes ? new Date(now - minutes * 60_000).toISOString() : undefined,
});

export const narrowed = ({ q, event_type, event_id, verified, minutes }: ListFilter): boolean =>
  Boolean(q || event_type || event_id || verified || minutes);
