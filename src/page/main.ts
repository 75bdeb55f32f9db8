// The inbox: draws the page, and listens to the address and the keyboard.
import { render } from 'lit-html';
import { readAll, wake } from './contents.ts';
import { answerReplays } from './handover.ts';
import { readConsumers, refresh } from './polled.ts';
import { follow, href, step } from './routes.ts';
import { app, changed, drawWith } from './state.ts';
import { afterList, beforeList, neighbour } from './view/list.ts';
import { shell, showDialog } from './view/shell.ts';

const CONSUMERS_MS = 3_000;
const root = document.getElementById('app') as HTMLElement;
let entered = false;

function draw(): void {
  beforeList();
  render(shell(), root);
  afterList();
  showDialog();
  // A user who signs in at a link to a content sees that content.
  if (Boolean(app.api) !== entered) {
    entered = Boolean(app.api);
    if (entered) follow();
  }
}

drawWith(draw);
draw();
follow();
addEventListener('hashchange', follow);
addEventListener('keydown', onKey);
addEventListener('online', wake);
answerReplays();
setInterval(() => app.route.view === 'consumers' && !document.hidden && void readConsumers(), CONSUMERS_MS);
document.addEventListener('visibilitychange', () => {
  if (document.hidden || !app.api) return;
  void refresh();
  wake();
});

let leader = false;

function move(by: number): void {
  if (app.route.view !== 'contents') {
    moveStatic(by);
    return;
  }
  const id = neighbour(by);
  if (id === undefined) return;
  step(href.content(id));
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>(`a[data-id="${id}"]`)?.focus({ preventScroll: true }),
  );
}

/** The short lists have every row in the document. */
function moveStatic(by: number): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>('.rows a[href]')];
  const at = links.findIndex((link) => link.getAttribute('aria-current') === 'true');
  const link = links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)];
  if (!link) return;
  step(link.getAttribute('href') ?? '');
  link.focus();
}

function back(): void {
  if (app.sidebar) app.sidebar = false;
  else if (app.route.view === 'refusals') location.hash = href.refusals;
  else if (app.route.view === 'consumers') location.hash = href.consumers;
  else location.hash = href.contents;
  changed();
}

const GO: Readonly<Record<string, string>> = { c: href.contents, r: href.refusals, o: href.consumers };

function onKey(event: KeyboardEvent): void {
  const { target, key } = event;
  const typing = target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]');
  if (!app.api || app.dialog || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (key === 'Escape') (target as HTMLElement).blur();
    return;
  }
  if (!app.keys && key !== 'Escape') return;
  const led = leader;
  leader = false;
  const to = GO[key];
  if (led && to) location.hash = to;
  else if (key === 'g') leader = true;
  else if (key === 'j' || (key === 'ArrowDown' && inList(target))) move(1);
  else if (key === 'k' || (key === 'ArrowUp' && inList(target))) move(-1);
  else if (key === '/') document.getElementById('search')?.focus();
  else if (key === '?') app.dialog = 'help';
  else if (key === 'r') readAll();
  else if (key === 'Escape') back();
  else return;
  event.preventDefault();
  changed();
}
const inList = (target: EventTarget | null) => target instanceof HTMLElement && target.closest('.rows') !== null;
