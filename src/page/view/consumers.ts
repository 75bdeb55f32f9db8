// Consumers: how far each is behind, what its workers have in hand, and its dead letters.
import { html, nothing } from 'lit-html';
import type { Consumer } from '../../client/index.ts';
import { handOutAgain, readDead } from '../polled.ts';
import { href } from '../routes.ts';
import { app, put, webhookName } from '../state.ts';
import { age, count, plural, shortTime, visible } from '../text.ts';
import { icon } from './signs.ts';

const number = (name: string, value: unknown, kind = '') =>
  html`<div data-kind=${kind}><dt>${name}</dt><dd>${value}</dd></div>`;

const numbers = (one: Consumer) => html`<dl class="numbers">
  ${number('Backlog', `${count(one.backlog)}${one.backlog_more ? '+' : ''}`)}
  ${number('Oldest', one.oldest_age_s === null ? '–' : age(one.oldest_age_s), (one.oldest_age_s ?? 0) > 600 ? 'warn' : '')}
  ${number('In hand', count(one.in_flight))}
  ${number('Dead', count(one.dead), one.dead > 0 ? 'bad' : '')}
</dl>`;

const item = (one: Consumer) => html`<li class="consumer">
  <a href=${href.consumer(one.name)} aria-current=${app.dead?.name === one.name ? 'true' : nothing}>
    <span class="one"><span class="what">${one.name}</span><span class="muted fine">${one.pulled_at ? `pulled ${shortTime(Date.parse(one.pulled_at))}` : 'never pulled'}</span></span>
    ${numbers(one)}
  </a>
</li>`;

export const consumersView = () => html`<section class="list" aria-labelledby="list-title">
  <div class="list-head"><h2 id="list-title">Consumers</h2><p class="muted fine">Named reading positions. Each reads everything once.</p></div>
  <div class="rows">
    ${
      app.consumers.length === 0
        ? html`<div class="empty"><p class="mark">${icon('people')}</p><h3>No consumer yet</h3>
          <p class="muted">The first pull makes the consumer:</p><pre tabindex="0" aria-label="First pull">POST /consumers/billing/pull</pre></div>`
        : html`<ol role="list" aria-label="Consumers">${app.consumers.map(item)}</ol>`
    }
  </div>
</section>`;

function retryAll(name: string): void {
  const dialog = {
    title: 'Hand out all dead letters again?',
    text: `Every dead letter of ${name} waits for its next pull, with the attempts it had before.`,
    action: 'Retry all',
    go: () => void handOutAgain(name),
  };
  put(app, { dialog });
}

export function consumerView() {
  const { dead } = app;
  const one = app.consumers.find(({ name }) => name === dead?.name);
  if (!dead || !one)
    return html`<section class="detail none" aria-label="Consumer"><div><p class="mark">${icon('people')}</p><p class="muted">Choose a consumer to see its dead letters.</p></div></section>`;
  return html`<section class="detail" aria-labelledby="detail-title" tabindex="-1">
    <a class="back" href=${href.consumers}>${icon('back')}<span>Back</span></a>
    <div class="title"><h2 id="detail-title">${one.name}</h2>
      <p class="sub"><span>${one.whid ? one.whid.map(webhookName).join(', ') : 'All webhooks'}</span><span>lease ${age(one.lease_seconds)}</span>
        <span>${plural(one.max_attempts, 'attempt')}</span>${one.ordered ? html`<span>in order</span>` : nothing}</p></div>
    ${one.gap ? html`<div class="callout" data-kind="hint">${icon('warn')}<p>Retention removed contents ${one.gap.from} to ${one.gap.to} before they were read.</p></div>` : nothing}
    ${numbers(one)}
    <section class="card" aria-labelledby="dead-title">
      <div class="card-head"><h3 id="dead-title">Dead letters</h3><span class="muted">${count(one.dead)}</span><span class="grow"></span>
        ${one.dead > 0 ? html`<button @click=${() => retryAll(one.name)}>${icon('again')} Retry all</button>` : nothing}</div>
      ${
        dead.list.length === 0
          ? html`<p class="muted pad">None. A content that was handed out ${plural(one.max_attempts, 'time')} and never acked ends here.</p>`
          : html`<div class="scroll" tabindex="0" role="group" aria-label="Table of dead letters"><table class="dead">
            <thead><tr><th scope="col">Content</th><th scope="col">Why</th><th scope="col">Attempts</th><th scope="col">Since</th><th scope="col"><span class="sr">Action</span></th></tr></thead>
            <tbody>${dead.list.map(
              (
                letter,
              ) => html`<tr><td><a href=${href.content(letter.id)}>${letter.id}</a><br><span class="muted fine">${webhookName(letter.wh_id)}</span></td>
                <td class="why">${visible(letter.reason) || html`<span class="muted">no reason was given</span>`}</td><td>${letter.attempts}</td>
                <td><time title=${letter.dead_at}>${shortTime(Date.parse(letter.dead_at))}</time></td>
                <td><button aria-label=${`Retry content ${letter.id}`} @click=${() => void handOutAgain(one.name, [letter.id])}>Retry</button></td></tr>`,
            )}</tbody></table></div>`
      }
      ${dead.next > 0 ? html`<button class="wide" @click=${() => void readDead(dead.name, dead.next)}>Show more</button>` : nothing}
    </section>
  </section>`;
}
