// The frame of the page: signing in and out, the bar on top, the sidebar, one or two panes, the dialogs.
import { html, nothing, svg } from 'lit-html';
import { connect, sentence } from '../api.ts';
import { hangUp, listen, narrow, narrowed, readAll, title, wake } from '../contents.ts';
import { moveActivity, newRefusals, pollRefusals, refresh } from '../polled.ts';
import { href } from '../routes.ts';
import { app, changed, forget, put } from '../state.ts';
import { count } from '../text.ts';
import { consumersView, consumerView } from './consumers.ts';
import { contentView } from './content.ts';
import { empty, isEmpty, listView } from './list.ts';
import { refusalsView, refusalView } from './refusals.ts';
import { type Icon, icon } from './signs.ts';
import { createView, webhookView } from './webhooks.ts';

const REFRESH_MS = 30_000;
const REFUSALS_MS = 5_000;
let timers: ReturnType<typeof setInterval>[] = [];

async function signIn(id: string, token: string): Promise<void> {
  put(app, { entering: true, problem: '' });
  const mine = connect(id, token, (detail) => app.api === mine && signOut(detail));
  try {
    const { username } = await mine.verify();
    Object.assign(app, { api: mine, user: username, entering: false });
    void listen();
    await refresh();
    timers = [setInterval(() => void refresh(), REFRESH_MS), setInterval(() => void pollRefusals(), REFUSALS_MS)];
    void pollRefusals();
  } catch (error) {
    app.problem = sentence(error);
  }
  put(app, { entering: false });
}

function signOut(problem = ''): void {
  for (const timer of timers) clearInterval(timer);
  timers = [];
  hangUp();
  forget(problem);
  title();
  changed();
}

function submit(event: SubmitEvent): void {
  event.preventDefault();
  const form = new FormData(event.target as HTMLFormElement);
  void signIn(String(form.get('id')).trim(), String(form.get('token')).trim());
}

const signInView = () => html`<main class="enter">
  <form @submit=${submit} aria-labelledby="enter-title">
    <p class="mark">${icon('inbox')}</p>
    <h1 id="enter-title">${app.about.name} inbox</h1>
    <p class="muted">Watch your webhooks arrive. Sign in with your user id and token: your dashboard shows both.</p>
    <label for="id">User id</label>
    <input id="id" name="id" autocomplete="username" inputmode="numeric" pattern="[0-9]+" required autofocus
      aria-invalid=${app.problem ? 'true' : nothing} aria-describedby=${app.problem ? 'enter-problem' : nothing}>
    <label for="token">Token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required
      aria-invalid=${app.problem ? 'true' : nothing} aria-describedby=${app.problem ? 'enter-problem' : nothing}>
    <p class="problem" id="enter-problem" role="alert">${app.problem}</p>
    <button class="primary" ?disabled=${app.entering}>${app.entering ? 'Signing in…' : 'Sign in'}</button>
    <p class="fine muted">Both stay in the memory of this tab. Reloading or closing the tab signs you out.</p>
  </form>
</main>`;

/** Kind, text and explanation of the status, by the name of the stream's state. */
const STATUS = {
  live: ['good', 'Live', 'The stream is open and was active within the last half minute.'],
  connecting: ['busy', 'Connecting', 'The stream is being opened.'],
  'catching-up': ['busy', 'Catching up', 'The page reads every content that arrived while the connection was down.'],
  waiting: ['bad', 'Reconnecting', 'The page reconnects by itself and goes on where it stopped.'],
  off: ['off', 'Off', 'The stream is not open.'],
} as const;

function status() {
  const { live } = app;
  const [kind, text, why] = STATUS[live.name];
  const told = live.name === 'waiting' ? `${live.reason} ${why}` : why;
  return html`<button class="status" data-kind=${kind} data-state=${live.name} title=${told} @click=${wake}>
    <span class="dot"></span><span role="status">${live.name === 'catching-up' ? `${text} ${live.caught}` : text}</span>
  </button>`;
}

const HEIGHT = 18;

function spark(minutes: readonly number[] | undefined) {
  if (!minutes?.some((n) => n > 0)) return nothing;
  const most = Math.max(...minutes);
  const path = minutes
    .map((n, i) => (n === 0 ? '' : `M${i * 2 + 0.5} ${HEIGHT}v-${Math.max((n / most) * (HEIGHT - 1), 2).toFixed(1)}`))
    .join('');
  return html`<svg class="spark" viewBox="0 0 120 18" preserveAspectRatio="none" aria-hidden="true">
    ${svg`<path class="base" d="M0 17.5H120"></path><path d=${path}></path>`}
  </svg>`;
}

const sum = (minutes: readonly number[] | undefined) => (minutes ?? []).reduce((total, n) => total + n, 0);

function all(): number[] {
  const total = new Array<number>(60).fill(0);
  for (const minutes of app.activity.values()) for (const [i, n] of minutes.entries()) total[i] = (total[i] ?? 0) + n;
  return total;
}

const nav = (to: string, view: string, sign: Icon, text: string, badge: number) => html`<li>
  <a class="nav" href=${to} aria-current=${app.route.view === view ? 'page' : nothing}>
    ${icon(sign)}<span>${text}</span>${badge > 0 ? html`<span class="badge">${count(badge)}<span class="sr"> new</span></span>` : nothing}
  </a>
</li>`;

function pick(id: number | 'all', event: Event): void {
  event.preventDefault();
  if (app.route.view !== 'contents') location.hash = href.contents;
  narrow({ whid: id });
}

function entry(id: number | 'all', name: string, minutes: readonly number[] | undefined) {
  const total = sum(minutes);
  const current = app.filter.whid === id && app.route.view === 'contents';
  return html`<li>
    <a class="hook" href=${href.contents} @click=${(event: Event) => pick(id, event)} aria-current=${current ? 'true' : nothing} data-whid=${id}>
      <span class="name">${name}</span>
      <span class="total" title="in the last hour">${count(total)}<span class="sr"> in the last hour</span></span>
      ${spark(minutes)}
    </a>
    ${
      typeof id === 'number' && id > 0
        ? html`<a class="more" href=${href.webhook(id)} aria-label=${`URL and settings of ${name}`} title="URL and settings">${icon('link')}</a>`
        : nothing
    }
  </li>`;
}

function sidebar() {
  moveActivity();
  return html`<aside class="side" data-open=${app.sidebar ? 'yes' : 'no'}>
    <nav aria-label="Main">
      <ul>
        ${nav(href.contents, 'contents', 'inbox', 'Contents', app.unread.size)}
        ${app.extended ? nav(href.refusals, 'refusals', 'stop', 'Refusals', newRefusals()) : nothing}
        ${app.extended ? nav(href.consumers, 'consumers', 'people', 'Consumers', 0) : nothing}
      </ul>
    </nav>
    <nav aria-labelledby="hooks-title" class="hooks">
      <div class="row"><h2 id="hooks-title">Webhooks</h2><span class="muted fine">last hour</span></div>
      <ul>
        ${entry('all', 'All webhooks', all())}
        ${app.webhooks.map(({ wh_id, wh_name }) => entry(wh_id, wh_name, app.activity.get(wh_id)))}
        ${app.activity.has(0) || app.filter.whid === 0 ? entry(0, 'Own content', app.activity.get(0)) : nothing}
      </ul>
      ${app.extended ? html`<a class="button quiet wide" href=${href.new}>${icon('plus')} New webhook</a>` : nothing}
    </nav>
  </aside>`;
}

const KEYS: readonly (readonly [string, string])[] = [
  ['j  ↓', 'next content'],
  ['k  ↑', 'previous content'],
  ['Enter', 'open the focused row'],
  ['/', 'search'],
  ['g c', 'contents'],
  ['g r', 'refusals'],
  ['g o', 'consumers'],
  ['r', 'mark all as read'],
  ['Esc', 'close, go back'],
  ['?', 'this list'],
];

const closeDialog = () => put(app, { dialog: undefined });

function dialogView() {
  const { dialog } = app;
  if (!dialog) return nothing;
  if (dialog === 'help')
    return html`<dialog aria-labelledby="dialog-title" @close=${closeDialog}>
      <h2 id="dialog-title">Keys</h2>
      <dl class="keys">${KEYS.map(([key, text]) => html`<div><dt>${key.split('  ').map((one) => html`<kbd>${one}</kbd> `)}</dt><dd>${text}</dd></div>`)}</dl>
      <label class="choice"><input type="checkbox" .checked=${app.keys} @change=${() => put(app, { keys: !app.keys })}><span>Listen to single keys <span class="muted">(never while you type)</span></span></label>
      <form method="dialog"><button class="primary">Close</button></form>
    </dialog>`;
  const { title, text, action, go } = dialog;
  return html`<dialog aria-labelledby="dialog-title" aria-describedby="dialog-text" @close=${closeDialog}>
    <h2 id="dialog-title">${title}</h2><p id="dialog-text">${text}</p>
    <form method="dialog" class="actions end">
      <button autofocus>Cancel</button><button class="danger" @click=${go}>${action}</button>
    </form>
  </dialog>`;
}

/** Called after each drawing: opens a new dialog above everything else. */
export function showDialog(): void {
  const dialog = document.querySelector('dialog');
  if (dialog && !dialog.open) dialog.showModal();
}

const menu = () => put(app, { sidebar: !app.sidebar });
const help = () => put(app, { dialog: 'help' });

const bar = () => html`<header class="bar">
  <button class="icon-button only-small" aria-label="Menu" aria-expanded=${app.sidebar} @click=${menu}>${icon('menu')}</button>
  <h1 class="brand"><span class="logo">${icon('inbox')}</span><span>${app.about.name}</span><span class="sr">inbox</span></h1>
  <span class="grow"></span>
  ${app.unread.size > 0 ? html`<button class="quiet" @click=${readAll}>Mark all as read</button>` : nothing}
  ${status()}
  <button class="icon-button" aria-label="Keys" title="Keys: ?" @click=${help}>?</button>
  <span class="who only-large">User ${app.user}</span>
  <button class="quiet" @click=${() => signOut()}>Sign out</button>
</header>`;

function panes() {
  const { route } = app;
  switch (route.view) {
    case 'contents':
      return isEmpty() && !narrowed(app.filter) && !app.content
        ? html`<section class="whole first" aria-label="Contents">${empty()}</section>`
        : html`${listView()}${contentView()}`;
    case 'refusals':
      return html`${refusalsView()}${refusalView()}`;
    case 'consumers':
      return html`${consumersView()}${consumerView()}`;
    case 'webhook':
      return webhookView(route.id);
    case 'new':
      return createView();
  }
}

/** A small screen shows one pane: that of the open item, if there is one. */
const deep = () =>
  ('id' in app.route && app.route.id !== undefined) || ('name' in app.route && app.route.name !== undefined);

export function shell() {
  const said = html`<div class="toast" role="status" data-on=${app.toast ? 'yes' : 'no'}>${app.toast}</div>`;
  if (!app.api) return html`${signInView()}${said}`;
  return html`<div class="app">
      ${bar()}
      ${sidebar()}
      ${app.sidebar ? html`<div class="shade" @click=${menu}></div>` : nothing}
      <main class="panes" data-pane=${deep() ? 'detail' : 'list'}>${panes()}</main>
    </div>
    ${said}${dialogView()}`;
}
