// The certificates that requests name: fetched from their provider once for all who ask, kept, and never asked for without bound.
import { LRUCache } from 'lru-cache';
import type { Downloaded } from '../http/download.ts';
import type { Log } from '../observe/log.ts';
import { readCertificate } from '../verify/certificate.ts';
import type { Certificate, Certificates } from '../verify/request.ts';
import { certificateOf, type Rules } from '../verify/rules.ts';

/** `later`: it could not be had; the request waits for it. `busy`: it was not asked for, so the sender has to come again. */
export type Fetched = 'had' | 'later' | 'busy' | 'off';

export interface Asker {
  readonly user_id: number;
  readonly wh_id: number;
  readonly rules: Rules | undefined;
}

// A provider has a handful: one for each region, and the next.
const MOST_KNOWN = 500;
const MOST_KNOWN_OF_USER = 20;
const KEEP_MS = 24 * 3_600_000;
// What failed is not asked for again sooner, however many requests name it.
const RETRY_MS = 30_000;
const MOST_FAILED = 1_000;
// A stranger may name as many URLs of the right shape as a flood has requests.
const AT_ONCE = 8;
const AT_ONCE_OF_USER = 2;
const MINUTE_MS = 60_000;
const IN_MINUTE = { webhook: 10, user: 30 };
const MOST_COUNTED = 10_000;
// Webhooks with requests that wait for a certificate are remembered here; those above are judged once an hour.
const MOST_WAITING = 1_000;
// The provider says that there is no such file. All else may be a fault that passes.
const NO_SUCH_FILE: readonly number[] = [403, 404, 410];

export interface CertificateParts {
  /** Undefined: none are fetched. */
  readonly download: ((url: string) => Promise<Downloaded>) | undefined;
  readonly log: Pick<Log, 'warn'>;
  /** Told of webhooks whose requests waited for a certificate that is here now. */
  readonly onHad?: (userId: number, whId: number) => void;
  readonly retryMs?: number;
}
export type CertificateStore = ReturnType<typeof createCertificates>;

export function createCertificates({ download, log, onHad = () => {}, retryMs = RETRY_MS }: CertificateParts) {
  const known = new LRUCache<string, { readonly user: number; readonly certificate: Certificate }>({
    max: MOST_KNOWN,
    ttl: KEEP_MS,
  });
  const failed = new LRUCache<string, Certificate | 'later'>({ max: MOST_FAILED, ttl: retryMs });
  const underWay = new Map<string, Promise<Fetched>>();
  const ofUser = new Map<number, number>();
  const counts = new LRUCache<string, { n: number }>({ max: MOST_COUNTED, ttl: MINUTE_MS });
  const waiting = new Map<string, { readonly asker: Asker; readonly webhooks: Map<number, number> }>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function counted(name: string, most: number): boolean {
    const count = counts.get(name) ?? { n: 0 };
    if (count.n === 0) counts.set(name, count);
    return count.n++ < most;
  }

  function admit({ user_id, wh_id }: Asker): boolean {
    if (underWay.size >= AT_ONCE || (ofUser.get(user_id) ?? 0) >= AT_ONCE_OF_USER) return false;
    return counted(`w${wh_id}`, IN_MINUTE.webhook) && counted(`u${user_id}`, IN_MINUTE.user);
  }

  function keep(url: string, user: number, certificate: Certificate): void {
    const own = [...known.entries()].filter(([, one]) => one.user === user);
    // The cache names the newest first.
    const oldest = own.length >= MOST_KNOWN_OF_USER ? own.at(-1) : undefined;
    if (oldest) known.delete(oldest[0]);
    known.set(url, { user, certificate });
  }

  async function ask(asker: Asker, url: string, name: RegExp): Promise<Fetched> {
    try {
      if (!download) return 'off';
      const { status, body } = await download(url);
      const certificate = status === 200 ? readCertificate(body.toString('latin1'), name) : undefined;
      if (certificate && 'key' in certificate) keep(url, asker.user_id, certificate);
      else if (certificate) failed.set(url, certificate);
      else if (NO_SUCH_FILE.includes(status))
        failed.set(url, { fault: 'Its provider has no certificate at the URL that it names.' });
      else throw new Error(status === 200 ? 'it is no certificate' : `the answer was ${status}`);
      wake(url);
      return 'had';
    } catch (error) {
      failed.set(url, 'later');
      log.warn({ url, reason: (error as Error).message }, 'a certificate cannot be had: what it signed waits for it');
      return 'later';
    }
  }

  function start(asker: Asker, url: string, name: RegExp): Promise<Fetched> {
    const { user_id } = asker;
    ofUser.set(user_id, (ofUser.get(user_id) ?? 0) + 1);
    const asking = ask(asker, url, name).finally(() => {
      underWay.delete(url);
      const left = (ofUser.get(user_id) ?? 1) - 1;
      if (left > 0) ofUser.set(user_id, left);
      else ofUser.delete(user_id);
    });
    underWay.set(url, asking);
    return asking;
  }

  /** Its requests wait: they are judged as soon as the certificate is here. */
  function remember(asker: Asker, url: string): void {
    const one = waiting.get(url) ?? { asker, webhooks: new Map<number, number>() };
    if (waiting.size >= MOST_WAITING && !waiting.has(url)) return;
    if (one.webhooks.size < MOST_WAITING) one.webhooks.set(asker.wh_id, asker.user_id);
    waiting.set(url, one);
    if (!timer && !closed) timer = setInterval(retry, retryMs).unref();
  }

  function wake(url: string): void {
    const one = waiting.get(url);
    waiting.delete(url);
    if (waiting.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
    for (const [whId, userId] of one?.webhooks ?? []) onHad(userId, whId);
  }

  function retry(): void {
    for (const [url, one] of [...waiting]) {
      const name = ruleOf(one.asker)?.name;
      if (!name || underWay.has(url) || !admit(one.asker)) continue;
      // Those that were not tried come first the next time.
      waiting.delete(url);
      waiting.set(url, one);
      void start(one.asker, url, name);
    }
  }

  return {
    /** What is here now, by URL. */
    known: {
      get(url) {
        const found = known.get(url)?.certificate ?? failed.get(url);
        return found === 'later' ? undefined : found;
      },
    } satisfies Certificates,
    /** Asks for a certificate whose URL the rules of this webhook have allowed. Never rejects. */
    async fetch(asker: Asker, url: string): Promise<Fetched> {
      const rule = ruleOf(asker);
      // The verdict has checked it: nothing else is ever asked for, whoever calls.
      if (!rule?.url.test(url)) return 'busy';
      if (!download) return 'off';
      const before = failed.get(url);
      if (known.has(url) || (before && before !== 'later')) return 'had';
      const outcome =
        before === 'later'
          ? 'later'
          : await (underWay.get(url) ?? (admit(asker) ? start(asker, url, rule.name) : 'busy'));
      if (outcome === 'later') remember(asker, url);
      return outcome;
    },
    close(): void {
      closed = true;
      clearInterval(timer);
    },
  };
}

const ruleOf = ({ rules }: Pick<Asker, 'rules'>) => rules && certificateOf(rules);

/** Requests of this webhook may have to wait for a certificate. */
export const needsCertificate = (asker: Pick<Asker, 'rules'>): boolean => ruleOf(asker) !== undefined;
