// The doctor's checks of the settings, of this machine, and of the service if it runs.
import { LEAST_FILES, mostConnections, mostOfAddress } from '../../http/connections.ts';
import type { StaleUrl } from '../../store/doctor.ts';
import { PRESETS } from '../../verify/presets/index.ts';
import { isPublic } from '../../webhooks/webhooks.ts';
import { type Check, fail, isOlder, ok, warn } from './check.ts';
import type { ProbeAnswer } from './facts.ts';

const isLoopback = (host: string): boolean => /^(localhost|127\.|::1$)/.test(host);

const secretsKey: Check = {
  name: 'secrets-key',
  fix: 'Set SECRETS_KEY, or SECRETS_KEY_FILE, to the key that was used before.',
  judge({ config, stored, files, database }) {
    if (!stored || !database?.extended) return undefined;
    if (typeof stored.key === 'object') return fail(stored.key.wrong);
    if (stored.key === 'right') return ok('The key is the one with which the secrets in the database were encrypted.');
    if (config.secretsKey !== undefined) return ok('SECRETS_KEY is set, and no secret was kept yet.');
    if (files) return ok('No secret was kept yet; the key file is made beside the database.');
    return warn(
      'SECRETS_KEY is not set: webhooks with a secret cannot be made.',
      'openssl rand -hex 32 makes one: set SECRETS_KEY, or SECRETS_KEY_FILE, and keep a copy apart from the backups.',
    );
  },
};

const publicUrl: Check = {
  name: 'public-url',
  fix: 'Give it a public https address, and set it as PUBLIC_URL: docs/deploy.md',
  judge({ config }) {
    const url = config.publicUrl;
    const { pathname } = new URL(url);
    if (!isPublic(url)) return warn(`Providers cannot reach ${url}: they call only public https addresses.`);
    return ok(
      pathname === '/'
        ? `Webhook URLs begin with ${url}/in/.`
        : `Webhook URLs begin with ${url}/in/; the proxy in front must take ${pathname} away.`,
    );
  },
};

const MOST_NAMED = 5;
const MOST_SHOWN = 60;
const signedUrls: Check = {
  name: 'signed-urls',
  fix: 'Set PUBLIC_URL back to what it was, or paste the present URLs at the providers: restante webhook list',
  judge({ config, stored }) {
    if (!stored) return undefined;
    const signed = stored.staleUrls.filter(({ settings: { preset, verify } }) =>
      (verify?.signed_string ?? PRESETS.get(preset ?? '')?.verify.signed_string ?? '').includes('{url}'),
    );
    if (signed.length === 0) return ok('No webhook whose provider signs the URL was made under another PUBLIC_URL.');
    const moved = signed.filter(({ wh_url }) => isWebUrl(wh_url));
    const odd = signed.filter(({ wh_url }) => !isWebUrl(wh_url));
    const found = [
      moved.length > 0
        ? `PUBLIC_URL is ${config.publicUrl}, but these webhooks were made under another one, and their providers sign the URL that they call: ${named(moved, (url) => new URL(url).origin)}.`
        : '',
      odd.length > 0
        ? `Another application wrote as wh_url of these webhooks a text that is no URL. Their providers sign the URL that they call, and it cannot be told whether it is the right one: ${named(odd, (url) => JSON.stringify(url.slice(0, MOST_SHOWN)))}.`
        : '',
    ];
    return warn(
      found.filter(Boolean).join(' '),
      moved.length > 0 ? undefined : 'Compare the URLs at the providers with these: restante webhook list',
    );
  },
};
const isWebUrl = (url: string): boolean => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
const named = (urls: readonly StaleUrl[], shown: (url: string) => string): string =>
  urls
    .slice(0, MOST_NAMED)
    .map(({ wh_id, wh_url, settings }) => `${wh_id} (${settings.preset ?? 'own rules'}, ${shown(wh_url)})`)
    .join(', ') + (urls.length > MOST_NAMED ? ' and more' : '');

const trustProxy: Check = {
  name: 'trust-proxy',
  fix: 'Set TRUST_PROXY to the address of the reverse proxy, such as 127.0.0.1: docs/deploy.md',
  judge({ config }) {
    const { trustProxy: trusted, host, publicUrl: url } = config;
    if (trusted.some((one) => /\/0$/.test(one)))
      return warn(`TRUST_PROXY is ${trusted.join(',')}: every sender can claim any address.`);
    if (trusted.length > 0) return ok(`X-Forwarded-For is believed when it comes from ${trusted.join(', ')}.`);
    if (url.startsWith('https:'))
      return warn('PUBLIC_URL is https, so a proxy is in front, and TRUST_PROXY is empty: all senders look like it.');
    if (!isLoopback(host))
      return warn(`HOST is ${host} and TRUST_PROXY is empty: behind a proxy all senders look like it.`);
    return ok('No proxy is believed, and none seems to be there.');
  },
};

const oldUrls: Check = {
  name: 'old-urls',
  fix: 'Correct OLD_URLS: restante webhook list shows the stored wh_url; they must begin with the same scheme, host and port.',
  judge({ config, stored, database }) {
    if (config.oldUrls.length === 0 || !database || !stored) return undefined;
    if (!database.extended)
      return warn('OLD_URLS is set, but nothing is received at the as-is level.', 'restante migrate');
    const idle = stored.idleOrigins;
    return idle.length > 0
      ? warn(`No wh_url of another application begins with ${idle.join(', ')}: OLD_URLS has no use for it.`)
      : ok(`Webhooks of other applications are received at ${config.oldUrls.join(', ')}.`);
  },
};

const LEAST_TOKEN = 16;
const metricsToken: Check = {
  name: 'metrics-token',
  fix: 'openssl rand -hex 24 makes a long one: set METRICS_TOKEN, or METRICS_TOKEN_FILE.',
  judge({ config: { metricsToken: token } }) {
    if (token === undefined)
      return ok('METRICS_TOKEN is not set: there are no metrics, and /readyz says no more than "ready".');
    return token.length < LEAST_TOKEN
      ? warn(`METRICS_TOKEN has ${token.length} characters and can be guessed.`)
      : ok('METRICS_TOKEN is long enough.');
  },
};

const LEAST_NODE = [20, 19] as const;
const node: Check = {
  name: 'node',
  fix: 'Install Node.js 20.19 or later: https://nodejs.org',
  judge({ nodeVersion }) {
    if (nodeVersion === undefined) return undefined;
    return isOlder(nodeVersion, LEAST_NODE)
      ? fail(`Node.js ${nodeVersion} is older than 20.19.`)
      : ok(`Node.js ${nodeVersion}.`);
  },
};

const openFiles: Check = {
  name: 'open-files',
  fix: 'LimitNOFILE=65536 in the [Service] part of the systemd unit, or ulimit -n 65536 before the start.',
  judge({ openFiles: limit, config }) {
    if (limit === undefined) return undefined;
    const ofOne = mostOfAddress(config.connectionsPerAddress, mostConnections(limit));
    const found = `${limit === Number.POSITIVE_INFINITY ? 'Any number of' : limit} files and connections may be open here, ${ofOne} connections of one address.`;
    return limit < LEAST_FILES ? warn(`${found} Each waiting client takes one.`) : ok(found);
  },
};

// Linux itself has had 4096 since 5.4. With 511, of 8,000 senders at once 1,900 were left without an answer for 25 s.
const LEAST_BACKLOG = 4_096;
const backlog: Check = {
  name: 'backlog',
  fix: "sysctl -w net.core.somaxconn=4096, and net.core.somaxconn = 4096 in a file of /etc/sysctl.d; then restart Restante. In a container: Docker's --sysctl net.core.somaxconn=4096.",
  judge({ somaxconn }) {
    if (somaxconn === undefined) return undefined;
    const found = `The system keeps up to ${somaxconn} connections (net.core.somaxconn) until they are accepted.`;
    return somaxconn < LEAST_BACKLOG
      ? warn(`${found} When more senders connect at once, some get no answer.`)
      : ok(found);
  },
};

const isHealth = ({ status, text }: ProbeAnswer): boolean => status === 200 && /^\{"status":"ok"\}/.test(text);

const service: Check = {
  name: 'service',
  fix: 'Start the service: restante serve',
  judge({ service: { url, status, text }, service: answer, ready }) {
    const where = new URL(url).origin;
    if (status === 0) return warn(`No service answers at ${where} (${text}).`);
    if (!isHealth(answer))
      return fail(`Another program answers at ${where}.`, 'Choose another PORT, or stop that program.');
    if (ready.status !== 200)
      return fail(
        `The service at ${where} is alive and not ready: ${detailOf(ready)}`,
        'Look at its log; mostly the database cannot be reached.',
      );
    return ok(`The service at ${where} is ready.`);
  },
};
function detailOf({ text }: ProbeAnswer): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail ?? text);
  } catch {
    return text;
  }
}

const online: Check = {
  name: 'online',
  fix: 'Look at the DNS, the certificate and the proxy in front: docs/deploy.md has an example for nginx.',
  judge({ online: answer, config }) {
    if (!answer) return undefined;
    if (isHealth(answer)) return ok(`${config.publicUrl} leads here, or to another process of Restante.`);
    return fail(`${answer.url} answers ${answer.status || 'nothing'} (${answer.text.trim().slice(0, 80)}).`);
  },
};

const retention: Check = {
  name: 'retention',
  fix: 'Look at the clock and at RETENTION_DAYS. If both are right: restante prune --confirm (docs/operations.md, "What waits for a person")',
  judge({ stored, database }) {
    if (!stored || !database?.extended) return undefined;
    const { held } = stored;
    return held ? warn(`Retention waits for a person: ${held.text}.`) : ok('No old content waits for a person.');
  },
};

export const SETTINGS_CHECKS = [
  retention,
  secretsKey,
  publicUrl,
  signedUrls,
  trustProxy,
  oldUrls,
  metricsToken,
  node,
  openFiles,
  backlog,
  service,
  online,
] as const;
