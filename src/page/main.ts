// The inbox: draws itself, signs in, and listens to the address and the keyboard.
import { render } from 'lit-html';
import { readConsumers } from './consumers.ts';
import { answerReplays } from './handover.ts';
import { listenToKeys } from './keyboard.ts';
import { follow } from './routes.ts';
import { app, drawWith } from './state.ts';
import { showDialog } from './view/dialog.ts';
import { afterList, beforeList } from './view/list.ts';
import { shell } from './view/shell.ts';
import { refresh } from './webhooks.ts';

const CONSUMERS_MS = 3_000;
const root = document.getElementById('app') as HTMLElement;
let entered = false;

function draw(): void {
  beforeList();
  render(shell(), root);
  afterList();
  showDialog();
  // Whoever signs in with a link to a content sees that content.
  if (Boolean(app.api) !== entered) {
    entered = Boolean(app.api);
    if (entered) follow();
  }
}

drawWith(draw);
draw();
follow();
addEventListener('hashchange', follow);
listenToKeys();
answerReplays();
setInterval(() => app.route.view === 'consumers' && !document.hidden && void readConsumers(), CONSUMERS_MS);
document.addEventListener('visibilitychange', () => !document.hidden && app.api && void refresh());
