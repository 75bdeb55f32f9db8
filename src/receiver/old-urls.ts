// OLD_URLS: the URLs of an older receiver keep working. Path and raw query must equal a stored wh_url, byte for byte.
import { unescape as decodePercent } from 'node:querystring';
import { setTimeout as sleep } from 'node:timers/promises';
import { splitTarget } from '../http/head.ts';
import { listForeign } from '../store/webhooks.ts';
import { plainTarget, type Target } from '../webhooks/target.ts';
import type { ReceiverParts } from './receiver.ts';

const EVERY_MS = 4_000;
// tblwhid has no index on wh_url: a request to an unknown URL reads the table again, at most once a second.
const SOONEST_MS = 1_000;
// A stored wh_url must never take a call away from the API: the caller's credentials would be stored as a content.
const API = /^\/(webhooks|whcontent|consumers|refusals|docs|openapi\.json|inbox|healthz|readyz|metrics)([/?#;]|$)/;

export function createOldUrls({ store, config, log }: Pick<ReceiverParts, 'store' | 'config' | 'log'>) {
  const active = config.oldUrls.length > 0 && store.extended;
  let byTarget = new Map<string, Target & { readonly url: string }>();
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const warned = new Set<number>();

  async function load(): Promise<void> {
    loadedAt = performance.now();
    const found: typeof byTarget = new Map();
    const rows = await listForeign(store);
    // Of two rows with one URL the first has it: a later row must not take the requests of an earlier one.
    for (const { wh_id, user_id, wh_url } of rows.sort((a, b) => a.wh_id - b.wh_id)) {
      const url = wh_url.toString('latin1');
      const origin = config.oldUrls.find((one) => url.startsWith(`${one}/`) || url.startsWith(`${one}?`));
      if (!origin) continue;
      const target = targetOf(url.slice(origin.length));
      if (!isApi('POST', target) && !splitTarget(target) && !found.has(target))
        found.set(target, { ...plainTarget(user_id, wh_id), url });
      else if (!warned.has(wh_id)) {
        warned.add(wh_id);
        const told =
          'OLD_URLS: the wh_url of this webhook is a path of this API or of another webhook: it gets nothing';
        log.warn({ wh_id }, told);
      }
    }
    byTarget = found;
  }

  /** Reads the table once more, SOONEST_MS after the last time at the soonest. All calls that wait for it share it. */
  function reload(): Promise<void> {
    next ??= (async () => {
      await loading?.catch(() => {});
      await sleep(Math.max(0, loadedAt + SOONEST_MS - performance.now()));
      next = undefined;
      loading = load();
      await loading;
    })();
    return next;
  }
  const timer = active
    ? setInterval(
        () => void reload().catch((error: unknown) => log.warn({ error }, 'OLD_URLS could not be read')),
        EVERY_MS,
      )
    : undefined;
  timer?.unref();

  return {
    active,
    /** The webhook of another application that has this URL. `authorization`: the header, if there is one. */
    async find(method: string, target: string, authorization?: string): Promise<Target | undefined> {
      if (isApi(method, target, authorization)) return undefined;
      if (!byTarget.has(target)) await reload();
      return byTarget.get(target);
    },
    /** The whole URL that the sender called, with the old origin in front. */
    absolute: (target: string): string | undefined => byTarget.get(target)?.url,
    close: (): void => clearInterval(timer),
  };
}

/** A request to `https://host?x` has the target `/?x`. */
const targetOf = (rest: string): string => (rest.startsWith('/') ? rest : `/${rest}`);

/** `GET /` is a call of the API, and `GET /?query` is one when it carries credentials. No other request to `/` is. */
function isApi(method: string, target: string, authorization?: string): boolean {
  if (API.test(decodePercent(target))) return true;
  return (target === '/' || (/^\/[?#]/.test(target) && authorization !== undefined)) && /^(GET|HEAD)$/.test(method);
}
