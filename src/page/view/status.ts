// The status dot, and in words what it means.
import { html } from 'lit-html';
import { wake } from '../inbox.ts';
import { app } from '../state.ts';

function words(): readonly [kind: string, text: string, why: string] {
  const { live } = app;
  switch (live.name) {
    case 'live':
      return ['good', 'Live', 'The stream is open, and was heard of within the last 22 seconds.'];
    case 'connecting':
      return ['busy', 'Connecting', 'The stream is being opened.'];
    case 'catching-up':
      return ['busy', `Catching up ${live.caught}`, 'What came while the line was down is being read, none left out.'];
    case 'waiting':
      return ['bad', 'Reconnecting', `${live.reason} It is tried again by itself, from where it stopped.`];
    case 'off':
      return ['off', 'Off', 'The stream is not open.'];
  }
}

export function status() {
  const [kind, text, why] = words();
  return html`<button class="status" data-kind=${kind} data-state=${app.live.name} title=${why} @click=${wake}>
    <span class="dot"></span><span role="status">${text}</span>
  </button>`;
}
