// The page around what is shown: the bar on top, the left side, one or two panes, a word of what was just done.
import { html, nothing } from 'lit-html';
import { readAll } from '../inbox.ts';
import { narrowed } from '../rows.ts';
import { signOut } from '../session.ts';
import { app, changed } from '../state.ts';
import { consumersView, consumerView } from './consumers.ts';
import { contentView } from './content.ts';
import { createView } from './create.ts';
import { dialogView } from './dialog.ts';
import { empty } from './empty.ts';
import { icon } from './icons.ts';
import { isEmpty, listView } from './list.ts';
import { refusalView } from './refusal.ts';
import { refusalsView } from './refusals.ts';
import { sidebar } from './sidebar.ts';
import { signInView } from './signin.ts';
import { status } from './status.ts';
import { webhookView } from './webhook.ts';

const menu = () => {
  app.sidebar = !app.sidebar;
  changed();
};
const help = () => {
  app.dialog = 'help';
  changed();
};

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

/** On a small screen one pane is seen: that of what is open. */
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
