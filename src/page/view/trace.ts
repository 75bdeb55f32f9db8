// Where a content stands with every consumer, and the same event's other deliveries.
import { html, nothing } from 'lit-html';
import { longTime } from '../format.ts';
import { href } from '../routes.ts';
import type { Trace } from '../wire.ts';

type Stage = Trace['consumers'][number];

const WORDS: Readonly<Record<Stage['state'], string>> = {
  waiting: 'Waiting',
  leased: 'In hand',
  acked: 'Done',
  dead: 'Dead',
  behind: 'Behind',
};

function detail({ state, attempt, lease_until, due_at, dead_at, reason }: Stage): string {
  const at = (iso: string | undefined) => (iso ? longTime(Date.parse(iso)) : '');
  const parts = [
    attempt ? `attempt ${attempt}` : '',
    lease_until ? `until ${at(lease_until)}` : '',
    due_at ? `again at ${at(due_at)}` : '',
    dead_at ? `since ${at(dead_at)}` : '',
    state === 'behind'
      ? 'this consumer began after it, or was moved past it; what it acked before that is not kept'
      : '',
    reason ?? '',
  ];
  return parts.filter(Boolean).join(' · ');
}

const links = (ids: readonly number[]) =>
  ids.map((id, i) => html`${i > 0 ? ', ' : ''}<a href=${href.content(id)}>${id}</a>`);

export function traceView(trace: Trace | undefined) {
  if (!trace) return nothing;
  return html`<section class="card" aria-labelledby="trace-title">
    <div class="card-head"><h3 id="trace-title">Delivery</h3></div>
    <ol class="trace">
      <li><span class="when">${trace.received_at ? longTime(Date.parse(trace.received_at)) : '–'}</span><span>${trace.received_at ? 'Received and committed' : 'Stored by another application'}</span></li>
      ${trace.seen_at ? html`<li><span class="when">${longTime(Date.parse(trace.seen_at))}</span><span>Visible to readers</span></li>` : nothing}
      ${trace.duplicates.length > 0 ? html`<li><span class="when">later</span><span>The same event came again: ${links(trace.duplicates)}</span></li>` : nothing}
    </ol>
    ${
      trace.consumers.length === 0
        ? html`<p class="muted pad">No consumer reads this webhook.</p>`
        : html`<table class="stages" aria-label="Where it stands with each consumer"><tbody>
          ${trace.consumers.map(
            (stage) => html`<tr><th scope="row"><a href=${href.consumer(stage.name)}>${stage.name}</a></th>
              <td><span class="state" data-state=${stage.state}>${WORDS[stage.state]}</span></td><td class="muted">${detail(stage)}</td></tr>`,
          )}
        </tbody></table>`
    }
  </section>`;
}
