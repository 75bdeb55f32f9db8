// The webhooks of the user and how busy they are: read again every half minute, and when a new one shows up.
import { MINUTES, minuteOf } from './activity.ts';
import { ApiError } from './api.ts';
import { api, app, changed } from './state.ts';
import type { ActivityWire, WebhooksWire } from './wire.ts';

/** Reads the webhooks and their counts again. Quiet about failures: the status dot tells them. */
export async function refresh(): Promise<void> {
  if (document.hidden && app.loaded) return;
  try {
    const [{ webhooks }, activity] = await Promise.all([
      api().get<WebhooksWire>('/webhooks'),
      api()
        .get<ActivityWire>(`/activity?minutes=${MINUTES}`)
        .catch((error: unknown) => {
          if (!(error instanceof ApiError) || error.status !== 409) throw error;
          app.extended = false;
          return undefined;
        }),
    ]);
    app.webhooks = webhooks;
    if (activity) {
      app.activity = new Map(activity.webhooks.map(({ wh_id, minutes }) => [wh_id, [...minutes]]));
      app.activityAt = minuteOf(app.now());
    }
    changed();
  } catch {
    // The next time.
  }
}

let asked = 0;
const PAUSE_MS = 2_000;
/** A content of a webhook that the page does not know: somebody made it elsewhere. */
export function meet(whId: number): void {
  if (whId === 0 || app.webhooks.some(({ wh_id }) => wh_id === whId) || app.now() - asked < PAUSE_MS) return;
  asked = app.now();
  void refresh();
}
