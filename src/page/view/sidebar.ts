// The left side: where to go, and the webhooks with what came in the last hour.
import { html, nothing } from 'lit-html';
import { moveActivity } from '../activity.ts';
import { count } from '../format.ts';
import { narrow } from '../inbox.ts';
import { newRefusals } from '../refusals.ts';
import { href } from '../routes.ts';
import { app } from '../state.ts';
import { type Icon, icon } from './icons.ts';
import { spark } from './spark.ts';

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

export function sidebar() {
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
