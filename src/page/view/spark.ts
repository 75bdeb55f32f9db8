// The last hour of a webhook as sixty little bars.
import { html, nothing, svg } from 'lit-html';

const HEIGHT = 18;

export function spark(minutes: readonly number[] | undefined) {
  if (!minutes?.some((n) => n > 0)) return nothing;
  const most = Math.max(...minutes);
  const path = minutes
    .map((n, i) => (n === 0 ? '' : `M${i * 2 + 0.5} ${HEIGHT}v-${Math.max((n / most) * (HEIGHT - 1), 2).toFixed(1)}`))
    .join('');
  return html`<svg class="spark" viewBox="0 0 120 18" preserveAspectRatio="none" aria-hidden="true">
    ${svg`<path class="base" d="M0 17.5H120"></path><path d=${path}></path>`}
  </svg>`;
}
