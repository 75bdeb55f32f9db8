// The two dialogs: every key there is, and the question before something that cannot be taken back.
import { html, nothing } from 'lit-html';
import { app, changed } from '../state.ts';

const KEYS: readonly (readonly [string, string])[] = [
  ['j  ↓', 'next content'],
  ['k  ↑', 'the one before'],
  ['Enter', 'open what is focused'],
  ['/', 'search'],
  ['g c', 'contents'],
  ['g r', 'refusals'],
  ['g o', 'consumers'],
  ['r', 'mark all as read'],
  ['Esc', 'close, go back'],
  ['?', 'this list'],
];

function closeDialog(): void {
  app.dialog = undefined;
  changed();
}

export function dialogView() {
  const { dialog } = app;
  if (!dialog) return nothing;
  if (dialog === 'help')
    return html`<dialog aria-labelledby="dialog-title" @close=${closeDialog}>
      <h2 id="dialog-title">Keys</h2>
      <dl class="keys">${KEYS.map(([key, text]) => html`<div><dt>${key.split('  ').map((one) => html`<kbd>${one}</kbd> `)}</dt><dd>${text}</dd></div>`)}</dl>
      <label class="choice"><input type="checkbox" .checked=${app.keys} @change=${() => {
        app.keys = !app.keys;
        changed();
      }}><span>Listen to single keys <span class="muted">(never while you type)</span></span></label>
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

/** After each drawing: a dialog that is there is open, and above everything. */
export function showDialog(): void {
  const dialog = document.querySelector('dialog');
  if (dialog && !dialog.open) dialog.showModal();
}
