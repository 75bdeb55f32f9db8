// The webhooks of the user and how busy each was in the last hour: read again every half minute, counted on in between.

import { statusOf } from './api.ts';
import { api, app, changed } from './state.ts';

const MINUTES = 60;
const minuteOf = (ms: number) => Math.floor(ms / 60_000);

/** One more, now. */
export function bumpActivity(whId: number): void {
  moveActivity();
  const minutes = app.activity.get(whId) ?? new Array<number>(MINUTES).fill(0);
  minutes[MINUTES - 1] = (minutes[MINUTES - 1] ?? 0) + 1;
  app.activity.set(whId, minutes);
}

/** Lets the minutes that went by since the counts were read leave on the left. */
export function moveActivity(): void {
  const now = minuteOf(app.now());
  const gone = Math.min(now - app.activityAt, MINUTES);
  if (gone > 0 && app.activityAt > 0)
    for (const [id, minutes] of app.activity)
      app.activity.set(id, [...minutes.slice(gone), ...new Array<number>(gone).fill(0)]);
  app.activityAt = now;
}

/** Reads the webhooks and their counts again. Quiet about failures: the status dot tells them. */
export async function refresh(): Promise<void> {
  if (document.hidden && app.loaded) return;
  try {
    const [{ webhooks }, activity] = await Promise.all([
      api().webhooks.list(),
      api()
        .activity({ minutes: MINUTES })
        .catch((error: unknown) => {
          if (statusOf(error) !== 409) throw error;
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
