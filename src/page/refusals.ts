// Refusals: what came and was not let in; looked for every few seconds, released on request.
import { sentence, statusOf } from './api.ts';
import { bodyOfBytes } from './body/body.ts';
import { typeOf } from './headers.ts';
import { api, app, changed, toast } from './state.ts';

const PAGE = 30;

/** Reads the newest and puts those that are new on top. */
export async function pollRefusals(): Promise<void> {
  if (!app.api || !app.extended || (document.hidden && app.refusalsRead)) return;
  try {
    const { refusals, next_id } = await api().refusals.list({ order: 'desc', limit: PAGE });
    const newest = app.refusals[0]?.id ?? 0;
    const fresh = refusals.filter(({ id }) => id > newest);
    const again = new Map(refusals.map((one) => [one.id, one]));
    // A whole page of new ones: what lies between is read by scrolling.
    if (newest === 0 || fresh.length === PAGE) Object.assign(app, { refusals, refusalsOlder: next_id });
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
    const page = await api().refusals.list({ order: 'desc', limit: PAGE, id: from });
    app.refusals = [...app.refusals, ...page.refusals];
    app.refusalsOlder = page.next_id;
  } catch (error) {
    toast(sentence(error));
  }
  changed();
}

/** How many came that were not looked at. */
export const newRefusals = (): number => app.refusals.filter(({ id }) => id > app.refusalsSeen).length;

export async function openRefusal(id: number): Promise<void> {
  const open: NonNullable<typeof app.refusal> = {
    id,
    tab: 'pretty',
    shown: 1,
    revealed: false,
    busy: false,
    outcome: '',
  };
  app.refusal = open;
  changed();
  try {
    const item = await api().refusals.get(id);
    open.item = item;
    changed();
    open.body = await bodyOfBytes(await api().refusals.raw(id), typeOf(item.request.headers));
  } catch (error) {
    // Its body is not kept when it was too large or from nobody: the refusal is shown all the same.
    if (!open.item) open.problem = sentence(error);
  }
  changed();
}

export async function judgeAgain(id: number, force: boolean): Promise<void> {
  const open = app.refusal;
  if (!open || open.id !== id || open.busy) return;
  Object.assign(open, { busy: true, outcome: '' });
  changed();
  try {
    const { released, kept } = await api().refusals.release(id, { force });
    open.outcome = released[0] ? '' : (kept[0]?.reason ?? '');
    if (released[0]) toast(`Released as content ${released[0].content_id}.`);
    open.item = await api().refusals.get(id);
  } catch (error) {
    open.outcome = sentence(error);
  }
  open.busy = false;
  void pollRefusals();
  changed();
}
