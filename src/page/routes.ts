// The address of the shown view, after the #: a link names a content by its id and holds no secret.
import { openContent } from './contents.ts';
import { openRefusal, readConsumers, readDead } from './polled.ts';
import { api, app, changed, type PageRoute } from './state.ts';

function routeOf(hash: string): PageRoute {
  const [, name = '', rest = ''] = hash.replace(/^#/, '').split('/');
  const id = /^\d{1,15}$/.test(rest) ? Number(rest) : undefined;
  const withId = id === undefined ? {} : { id };
  if (name === 'refusals') return { view: 'refusals', ...withId };
  if (name === 'consumers') return { view: 'consumers', ...(rest ? { name: rest } : {}) };
  if (name === 'webhook' && id !== undefined) return { view: 'webhook', id };
  if (name === 'new') return { view: 'new' };
  return { view: 'contents', ...withId };
}

export const href = {
  contents: '#/',
  content: (id: number) => `#/content/${id}`,
  refusals: '#/refusals',
  refusal: (id: number) => `#/refusals/${id}`,
  consumers: '#/consumers',
  consumer: (name: string) => `#/consumers/${name}`,
  webhook: (id: number) => `#/webhook/${id}`,
  new: '#/new',
};

/** Goes to an address without a new entry in the history, as the keys j and k do. */
export function step(to: string): void {
  history.replaceState(null, '', to);
  follow();
}

/** Shows the view that the address names. */
export function follow(): void {
  const route = routeOf(location.hash);
  app.route = route;
  app.sidebar = false;
  app.tested = undefined;
  changed();
  if (!app.api) return;
  if (route.view === 'contents') {
    if (route.id === undefined) app.content = undefined;
    else if (app.content?.id !== route.id) void openContent(route.id);
  } else if (route.view === 'refusals') {
    app.refusalsSeen = app.refusals[0]?.id ?? 0;
    if (route.id === undefined) app.refusal = undefined;
    else if (app.refusal?.id !== route.id) void openRefusal(route.id);
  } else if (route.view === 'consumers') {
    void readConsumers();
    if (route.name === undefined) app.dead = undefined;
    else if (app.dead?.name !== route.name) void readDead(route.name);
  } else if (route.view === 'webhook') void readWebhook(route.id);
}

async function readWebhook(id: number): Promise<void> {
  if (app.detail?.wh_id !== id) app.detail = undefined;
  try {
    app.detail = await api().webhooks.get(id);
  } catch {
    // A webhook of another application: the page shows what the list says of it.
  }
  changed();
}
