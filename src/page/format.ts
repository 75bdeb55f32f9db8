// Numbers, sizes, times and ages as people read them.

export const count = (n: number): string => n.toLocaleString('en');
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  if (kib < 1024) return `${kib < 10 ? kib.toFixed(1) : Math.round(kib)} KB`;
  return `${(kib / 1024).toFixed(1)} MB`;
}

export function age(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hour12: false });

/** The time of today, the day of what is older. */
export function shortTime(ms: number, now = Date.now()): string {
  const at = new Date(ms);
  return at.toDateString() === new Date(now).toDateString()
    ? clock.format(at)
    : `${day.format(at)}, ${clock.format(at).slice(0, 5)}`;
}
export const longTime = (ms: number): string => full.format(ms);
