// What the page reads again every few seconds, as no stream has it: webhooks with their activity, refusals, consumers.
import { sentence, statusOf } from './api.ts';
import { bodyOfBytes, typeOf } from './body.ts';
import { api, app, changed, put, toast } from './state.ts';
import { plural } from './text.ts';

const MINUTES = 60;
const minuteOf = (ms: number) => Math.floor(ms / 60_000);

/** Counts one more content, now. */
export function bumpActivity(whId: number): void {
  moveActivity();
  const minutes = app.activity.get(whId) ?? new Array<number>(MINUTES).fill(0);
  minutes[MINUTES - 1] = (minutes[MINUTES - 1] ?? 0) + 1;
  app.activity.set(whId, minutes);
}

/** Drops the minutes that have passed since the counts were read. */
export function moveActivity(): void {
  const now = minuteOf(app.now());
  const gone = Math.min(now - app.activityAt, MINUTES);
  if (gone > 0 && app.activityAt > 0)
    for (const [id, minutes] of app.activity)
      app.activity.set(id, [...minutes.slice(gone), ...new Array<number>(gone).fill(0)]);
  app.activityAt = now;
}

/** Reads the webhooks and their counts again. Failures are not reported here: the status dot shows them. */
export async function refresh(): Promise<void> {
  if (document.hidden && app.loaded) return;
  try {
    const [{ webhooks }, activity] = await Promise.all([
      api().webhooks.list(),
      api()
        .activity({ minutes: MINUTES })
        .catch((error: unknown) => {
          if (statusOf(error) !== 409) throw error;
          app.extended = false;
          return undefined;
        }),
    ]);
    app.webhooks = webhooks;
    if (activity) {
      app.activity = new Map(activity.webhooks.map(({ wh_id, minutes }) => [wh_id, [...minutes]]));
      app.activityAt = minuteOf(app.now());
    }
    changed();
  } catch {
    // The next refresh tries again.
  }
}

let asked = 0;
const PAUSE_MS = 2_000;
/** Reads the webhooks again when a content names one that the page does not know: it was made elsewhere. */
export function meet(whId: number): void {
  if (whId === 0 || app.webhooks.some(({ wh_id }) => wh_id === whId) || app.now() - asked < PAUSE_MS) return;
  asked = app.now();
  void refresh();
}

const REFUSALS_PAGE = 30;

/** Reads the newest refusals and puts new ones on top. */
export async function pollRefusals(): Promise<void> {
  if (!app.api || !app.extended || (document.hidden && app.refusalsRead)) return;
  try {
    const { refusals, next_id } = await api().refusals.list({ order: 'desc', limit: REFUSALS_PAGE });
    const newest = app.refusals[0]?.id ?? 0;
    const fresh = refusals.filter(({ id }) => id > newest);
    const again = new Map(refusals.map((one) => [one.id, one]));
    // A whole page of new ones: the button for older ones reads those in between.
    if (newest === 0 || fresh.length === REFUSALS_PAGE) Object.assign(app, { refusals, refusalsOlder: next_id });
    else app.refusals = [...fresh, ...app.refusals.map((one) => again.get(one.id) ?? one)];
    if (!app.refusalsRead || app.route.view === 'refusals') app.refusalsSeen = app.refusals[0]?.id ?? 0;
    app.refusalsRead = true;
    changed();
  } catch (error) {
    if (statusOf(error) === 409) app.extended = false;
  }
}

export async function olderRefusals(): Promise<void> {
  if (app.refusalsOlder === 0) return;
  const from = app.refusalsOlder;
  try {
    const page = await api().refusals.list({ order: 'desc', limit: REFUSALS_PAGE, id: from });
    app.refusals = [...app.refusals, ...page.refusals];
    app.refusalsOlder = page.next_id;
  } catch (error) {
    toast(sentence(error));
  }
  changed();
}

/** How many refusals came since the user last looked at them. */
export const newRefusals = (): number => app.refusals.filter(({ id }) => id > app.refusalsSeen).length;

export async function openRefusal(id: number): Promise<void> {
  const how = { tab: 'pretty', shown: 1, revealed: false } as const;
  const open: NonNullable<typeof app.refusal> = { id, ...how, busy: false, outcome: '' };
  put(app, { refusal: open });
  try {
    const item = await api().refusals.get(id);
    put(open, { item });
    open.body = await bodyOfBytes(await api().refusals.raw(id), typeOf(item.request.headers));
  } catch (error) {
    // A refusal whose body was not kept is shown without it.
    if (!open.item) open.problem = sentence(error);
  }
  changed();
}

export async function judgeAgain(id: number, force: boolean): Promise<void> {
  const open = app.refusal;
  if (!open || open.id !== id || open.busy) return;
  put(open, { busy: true, outcome: '' });
  try {
    const { released, kept } = await api().refusals.release(id, { force });
    open.outcome = released[0] ? '' : (kept[0]?.reason ?? '');
    if (released[0]) toast(`Released as content ${released[0].content_id}.`);
    open.item = await api().refusals.get(id);
  } catch (error) {
    open.outcome = sentence(error);
  }
  put(open, { busy: false });
  void pollRefusals();
}

const DEAD_PAGE = 50;

export async function readConsumers(): Promise<void> {
  if (!app.api || !app.extended) return;
  try {
    const { consumers } = await api().consumers.list();
    put(app, { consumers });
  } catch {
    // The status dot shows the failure.
  }
}

export async function readDead(name: string, from = 0): Promise<void> {
  try {
    const { dead, next_id } = await api().consumer(name).dead({ limit: DEAD_PAGE, id: from });
    const before = from > 0 && app.dead?.name === name ? app.dead.list : [];
    app.dead = { name, list: [...before, ...dead], next: dead.length === DEAD_PAGE ? next_id : 0 };
  } catch (error) {
    toast(sentence(error));
  }
  changed();
}

/** Hands out dead letters again: those named, or all of them. */
export async function handOutAgain(name: string, ids?: number[]): Promise<void> {
  try {
    let count = 0;
    for (let more = true; more; ) {
      const done = await api()
        .consumer(name)
        .retryDead(ids ? { ids } : {});
      count += done.done.length;
      more = done.more && !ids && done.done.length > 0;
    }
    toast(`${plural(count, 'dead letter')} ${count === 1 ? 'waits' : 'wait'} for the next pull of ${name}.`);
  } catch (error) {
    toast(sentence(error));
  }
  await Promise.all([readConsumers(), readDead(name)]);
}
