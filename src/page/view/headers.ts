// The headers as they came, in order; what hides a secret is shown only when asked for.
import { html, nothing } from 'lit-html';
import { plural } from '../format.ts';
import { isSecret } from '../secrets.ts';
import { changed } from '../state.ts';
import { visible } from '../visible.ts';
import type { HeaderList } from '../wire.ts';
import { icon } from './icons.ts';

export function headersView(headers: HeaderList, open: { revealed: boolean }) {
  const secrets = headers.filter(([name = '']) => isSecret(name)).length;
  const reveal = () => {
    open.revealed = !open.revealed;
    changed();
  };
  return html`<section class="card" aria-labelledby="headers-title">
    <div class="card-head"><h3 id="headers-title">Headers</h3><span class="muted">${headers.length}</span><span class="grow"></span>
      ${secrets > 0 ? html`<button class="quiet" aria-pressed=${open.revealed} @click=${reveal}>${icon('eye')} ${open.revealed ? 'Hide' : 'Reveal'} ${plural(secrets, 'secret')}</button>` : nothing}
    </div>
    <table class="pairs" aria-label="Headers in the order they came"><tbody>
      ${headers.map(
        ([name = '', value = '']) => html`<tr>
          <th scope="row">${visible(name)}</th>
          <td dir="ltr">${isSecret(name) && !open.revealed ? html`<span class="redacted">••••••••<span class="sr"> hidden</span></span>` : visible(value)}</td>
        </tr>`,
      )}
    </tbody></table>
  </section>`;
}
