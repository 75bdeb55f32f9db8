// OLD_URLS: the addresses of an older receiver keep working. path + raw query must equal a stored wh_url, byte for byte.
import { resolveSettings } from '../schema.ts';
import { listForeign, type Target } from '../store/webhooks.ts';
import type { Context } from './context.ts';

const EVERY_MS = 4_000;
// tblwhid has no index on wh_url: an unknown address may ask for a fresh look at most once a second.
const SOONEST_MS = 1_000;
const API = /^\/(webhooks|whcontent|refusals|docs|openapi\.json|healthz|readyz)([/?]|$)|^\/$/;

export interface OldUrls {
  readonly active: boolean;
  /** The webhook of another application that is known by this address. */
  find(method: string, target: string): Promise<Target | undefined>;
  /** The target as its sender wrote it, with the old origin in front. */
  absolute(target: string): string | undefined;
  close(): void;
}

export function createOldUrls({ store, config, log }: Context): OldUrls {
  const active = config.oldUrls.length > 0 && store.extended;
  let byTarget = new Map<string, Target & { readonly url: string }>();
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    const at = performance.now();
    const settings = resolveSettings({});
    const found = new Map<string, Target & { readonly url: string }>();
    for (const { wh_id, user_id, wh_url } of await listForeign(store)) {
      const url = wh_url.toString('latin1');
      const origin = config.oldUrls.find((one) => url.startsWith(`${one}/`) || url.startsWith(`${one}?`));
      if (origin) found.set(targetOf(url.slice(origin.length)), { wh_id, user_id, settings, url });
    }
    byTarget = found;
    loadedAt = at;
  }
  const again = (): Promise<void> => {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  };
  const timer = active
    ? setInterval(
        () => void again().catch((error: unknown) => log.warn({ error }, 'OLD_URLS could not be read')),
        EVERY_MS,
      )
    : undefined;
  timer?.unref();

  return {
    active,
    async find(method, target) {
      if (loadedAt < 0) await again();
      const known = byTarget.get(target);
      if (known || (API.test(target) && !(target === '/' && method !== 'GET'))) return known;
      if (performance.now() - loadedAt > SOONEST_MS) await again();
      return byTarget.get(target);
    },
    absolute: (target) => byTarget.get(target)?.url,
    close: () => clearInterval(timer),
  };
}

/** `https://host?x` is asked for as `/?x`. */
const targetOf = (rest: string): string => (rest.startsWith('/') ? rest : `/${rest}`);
