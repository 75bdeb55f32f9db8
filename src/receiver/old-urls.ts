// OLD_URLS: the addresses of an older receiver keep working. path + raw query must equal a stored wh_url, byte for byte.
import { unescape as decodePercent } from 'node:querystring';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { splitTarget } from '../http/head.ts';
import type { Log } from '../observe/log.ts';
import type { Store } from '../store/open.ts';
import { listForeign } from '../store/webhooks.ts';
import { plainTarget, type Target } from '../webhooks/target.ts';

const EVERY_MS = 4_000;
// tblwhid has no index on wh_url: an unknown address may ask for a fresh look at most once a second.
const SOONEST_MS = 1_000;
// What somebody stored must never take a call away from the API: the credentials would go with it.
const API = /^\/(webhooks|whcontent|consumers|refusals|docs|openapi\.json|inbox|healthz|readyz|metrics)([/?#;]|$)/;

export interface OldUrls {
  readonly active: boolean;
  /** The webhook of another application that is known by this address. `authorization`: the header, if there is one. */
  find(method: string, target: string, authorization?: string): Promise<Target | undefined>;
  /** The target as its sender wrote it, with the old origin in front. */
  absolute(target: string): string | undefined;
  close(): void;
}

export interface OldUrlParts {
  readonly store: Store;
  readonly config: Pick<Config, 'oldUrls'>;
  readonly log: Log;
}

export function createOldUrls({ store, config, log }: OldUrlParts): OldUrls {
  const active = config.oldUrls.length > 0 && store.extended;
  let byTarget = new Map<string, Target & { readonly url: string }>();
  let begunAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const told = new Set<number>();

  async function load(): Promise<void> {
    begunAt = performance.now();
    const found: typeof byTarget = new Map();
    const rows = await listForeign(store);
    // Of two rows with one address the first has it: a later one must not take what belongs to it.
    for (const { wh_id, user_id, wh_url } of rows.sort((a, b) => a.wh_id - b.wh_id)) {
      const url = wh_url.toString('latin1');
      const origin = config.oldUrls.find((one) => url.startsWith(`${one}/`) || url.startsWith(`${one}?`));
      if (!origin) continue;
      const target = targetOf(url.slice(origin.length));
      if (isApi('POST', target) || splitTarget(target) || found.has(target)) tellUnreachable(wh_id);
      else found.set(target, { ...plainTarget(user_id, wh_id), url });
    }
    byTarget = found;
  }
  function tellUnreachable(wh_id: number): void {
    if (told.has(wh_id)) return;
    told.add(wh_id);
    log.warn(
      { wh_id },
      'OLD_URLS: the wh_url of this webhook is a path of this API or of another webhook: it gets nothing',
    );
  }

  /** A look at the table that begins after this call, SOONEST_MS after the last at the soonest; all who wait share it. */
  function look(): Promise<void> {
    next ??= (async () => {
      await loading?.catch(() => {});
      await sleep(Math.max(0, begunAt + SOONEST_MS - performance.now()));
      next = undefined;
      loading = load();
      await loading;
    })();
    return next;
  }
  const timer = active
    ? setInterval(
        () => void look().catch((error: unknown) => log.warn({ error }, 'OLD_URLS could not be read')),
        EVERY_MS,
      )
    : undefined;
  timer?.unref();

  return {
    active,
    async find(method, target, authorization) {
      if (isApi(method, target, authorization)) return undefined;
      if (!byTarget.has(target)) await look();
      return byTarget.get(target);
    },
    absolute: (target) => byTarget.get(target)?.url,
    close: () => clearInterval(timer),
  };
}

/** `https://host?x` is asked for as `/?x`. */
const targetOf = (rest: string): string => (rest.startsWith('/') ? rest : `/${rest}`);

/** `GET /` is a call, and `GET /?query` when it carries credentials; any other request to `/` is none of the API's. */
function isApi(method: string, target: string, authorization?: string): boolean {
  if (API.test(decodePercent(target))) return true;
  return (target === '/' || (/^\/[?#]/.test(target) && authorization !== undefined)) && /^(GET|HEAD)$/.test(method);
}
