// How busy each webhook was in the last hour: read now and then, counted on in between.
import { app } from './state.ts';

export const MINUTES = 60;
export const minuteOf = (ms: number) => Math.floor(ms / 60_000);

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
