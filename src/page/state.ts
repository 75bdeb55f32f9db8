// What the page knows and shows: one object, changed in place, drawn in the next frame.
import type { Api, Consumer, Content, Refusal, Trace, Webhook } from '../client/index.ts';
import type { DeadLetters, ListedWebhook, TestSent } from './api.ts';
import type { Body } from './body.ts';

interface About {
  readonly name: string;
  readonly publicUrl: string;
  readonly presets: readonly {
    readonly name: string;
    readonly title: string;
    readonly secret: string;
    /** A usual type of its events; undefined: its events have none. */
    readonly type?: string;
  }[];
}

export type PageRoute =
  | { readonly view: 'contents'; readonly id?: number }
  | { readonly view: 'refusals'; readonly id?: number }
  | { readonly view: 'consumers'; readonly name?: string }
  | { readonly view: 'webhook'; readonly id: number }
  | { readonly view: 'new' };

/** The live stream, as the status dot shows it. */
type LiveState =
  | { readonly name: 'off' | 'connecting' | 'live' }
  | { readonly name: 'catching-up'; readonly caught: number }
  | { readonly name: 'waiting'; readonly reason: string };

export interface ListFilter {
  readonly whid: number | 'all';
  readonly q: string;
  readonly event_type: string;
  readonly event_id: string;
  readonly verified: '' | 'signed' | 'token' | 'none';
  /** Minutes back; 0 = any time. */
  readonly minutes: number;
}
export const NO_FILTER: ListFilter = { whid: 'all', q: '', event_type: '', event_id: '', verified: '', minutes: 0 };

export type BodyTab = 'pretty' | 'text' | 'hex';
/** A content or a refusal that is open. */
export interface Open<T> {
  readonly id: number;
  item?: T;
  body?: Body;
  /** Why the item cannot be shown. */
  problem?: string;
  tab: BodyTab;
  /** How much of the body is on the page. */
  shown: number;
  revealed: boolean;
}

/** What the list shows of a content. Bodies are not kept: there may be gigabytes. */
export interface ListRow {
  readonly id: number;
  readonly wh_id: number;
  /** Undefined for rows of other applications: the time zone of their clock is unknown. */
  readonly at: number | undefined;
  readonly dt: string;
  readonly method: string;
  readonly path: string;
  /** The kind of the body by its Content-Type, in a word. */
  readonly form: string;
  readonly type: string;
  readonly verified: string;
  readonly duplicate_of: number | null;
  readonly size: number;
  readonly preview: string;
}

interface Tested {
  readonly wh_id: number;
  busy: boolean;
  sent?: TestSent;
  /** Why nothing was sent. */
  problem?: string;
}

/** A dialog that asks before something is done. */
interface Question {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  readonly go: () => void;
}

const about = (): About => JSON.parse(document.getElementById('about')?.textContent ?? '{}');

/** All that belongs to the user. */
const fresh = () => ({
  user: '',
  api: undefined as Api | undefined,
  entering: false,
  problem: '',
  route: { view: 'contents' } as PageRoute,
  webhooks: [] as readonly ListedWebhook[],
  /** False when the database has only the three shared tables. */
  extended: true,
  loaded: false,
  activity: new Map<number, number[]>(),
  activityAt: 0,
  live: { name: 'off' } as LiveState,
  filter: NO_FILTER,
  filtering: false,
  /** Oldest first. */
  rows: [] as ListRow[],
  /** The id at which older contents begin; 0: there are none. */
  older: 0,
  loading: false,
  listProblem: '',
  unread: new Set<number>(),
  /** Rows that came while the list was scrolled down. */
  above: 0,
  content: undefined as (Open<Content> & { trace?: Trace }) | undefined,
  refusals: [] as Refusal[],
  refusalsOlder: 0,
  refusalsSeen: 0,
  refusalsRead: false,
  refusal: undefined as (Open<Refusal> & { busy: boolean; outcome: string }) | undefined,
  consumers: [] as readonly Consumer[],
  dead: undefined as { readonly name: string; readonly list: DeadLetters; readonly next: number } | undefined,
  detail: undefined as Webhook | undefined,
  /** The last test that was sent, and what became of it. */
  tested: undefined as Tested | undefined,
  sidebar: false,
  /** Whether the page listens to single keys. */
  keys: true,
  toast: '',
  dialog: undefined as 'help' | Question | undefined,
});

export const app = { about: about(), now: Date.now, ...fresh() };

/** Forgets everything about the user at once. */
export function forget(problem = ''): void {
  const { route } = app;
  Object.assign(app, fresh(), { problem, route });
}

let draw = () => {};
let asked = false;
export function drawWith(how: () => void): void {
  draw = how;
}
/** Draws once in the next frame, however often it was called. */
export function changed(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}

/** Changes something that is shown, and draws it. */
export function put<T extends object>(shown: T, change: Partial<T>): void {
  Object.assign(shown, change);
  changed();
}

/** The API with the credentials of the signed-in user. */
export function api(): Api {
  if (!app.api) throw new Error('signed out');
  return app.api;
}

let toastTimer: ReturnType<typeof setTimeout> | undefined;
export function toast(text: string): void {
  put(app, { toast: text });
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => put(app, { toast: '' }), 5_000);
}

export const webhookName = (id: number): string =>
  id === 0 ? 'Own content' : (app.webhooks.find(({ wh_id }) => wh_id === id)?.wh_name ?? `Webhook ${id}`);
