// Prints webhooks: a table of them, or one with its settings, its secrets by their ends, and the steps at the provider.
import { PRESETS } from '../receive/presets.ts';
import type { WebhookDetail } from '../schemawebhooks.ts';
import { type Io, plain, table } from './io.ts';
import { wantsToken } from './presets.ts';

type Detail = WebhookDetail & {
  /** Of requests that came before their secret: how many became contents, and how many did not. */
  readonly released?: number;
  readonly waiting?: number;
  /** Requests that failed a check of earlier. */
  readonly refused?: number;
};
export type Told = Pick<Detail, 'wh_id' | 'wh_url' | 'wh_name' | 'status'> & Partial<Detail>;

interface How {
  readonly json: boolean;
  /** With what to do at the provider. */
  readonly steps: boolean;
  readonly user: string | undefined;
}

export function tellWebhook(io: Io, result: Told | Told[], { json, steps, user }: How): void {
  if (json) io.out(`${JSON.stringify(result)}\n`);
  else if (Array.isArray(result)) io.out(table(result, ['wh_id', 'status', 'wh_name', 'preset', 'wh_url']));
  else {
    for (const [name, value] of Object.entries(rows(result))) io.out(`${name.padEnd(15)} ${plain(value)}\n`);
    if (steps) tellSteps(io, result, user === undefined ? '' : ` --user ${user}`);
    tellReleased(io, result);
  }
}

/** What is not set is left out, as the defaults are told by the documentation. */
function rows(webhook: Told): Record<string, string> {
  const { wh_id, wh_url, wh_name, status, preset, secrets, response, created_at } = webhook;
  const classic = {
    wh_id: String(wh_id),
    wh_url,
    wh_name,
    status: status === 1 ? '1 (enabled)' : `${status} (disabled)`,
  };
  if (!response) return classic;
  const others = ['verify', 'dedupe', 'on_reject', 'max_body_bytes', 'allow_methods', 'allow_networks'] as const;
  return {
    ...classic,
    preset: preset
      ? `${preset} (${PRESETS.get(preset)?.title ?? 'unknown here'})`
      : webhook.verify
        ? 'none'
        : 'none: nothing is checked',
    ...(preset || webhook.verify || secrets?.length ? { secrets: secretsText(webhook) } : {}),
    response: `${response.status} ${response.body === '' ? 'with an empty body' : `${response.content_type} ${response.body}`}`,
    ...Object.fromEntries(
      others.flatMap((name) => {
        const value = webhook[name];
        return value == null ? [] : [[name, typeof value === 'object' ? JSON.stringify(value) : String(value)]];
      }),
    ),
    created_at: created_at ?? '',
  };
}

function secretsText({ secrets = [], preset }: Told): string {
  if (secrets.length === 0) return PRESETS.get(preset ?? '')?.secret === undefined ? 'none needed' : 'none yet';
  return secrets
    .map(({ id, last4, expires_at }) => {
      const over = expires_at !== null && Date.parse(expires_at) <= Date.now();
      const ends = expires_at === null ? '' : `, ${over ? 'expired' : 'until'} ${expires_at}`;
      return `${last4 ? `…${last4}` : 'a short one'} (id ${id}${ends})`;
    })
    .join('; ');
}

function tellSteps(io: Io, { wh_id, preset, verify, secrets = [], steps = [], hint }: Told, user: string): void {
  const known = PRESETS.get(preset ?? '');
  if (secrets.length > 0 && !verify && known?.secret === undefined)
    io.out('\nNothing is checked with this secret yet: say how with --preset or --verify.\n');
  if (!known) return;
  io.out(`\n${known.name === 'generic' ? 'What to do' : `What to do at ${known.title}`}:\n\n`);
  for (const [i, step] of steps.entries()) io.out(`  ${i + 1}. ${step}\n`);
  if (known.secret !== undefined && secrets.length === 0)
    io.out(`
The secret is not set yet. ${known.secret}
Set it with: restante webhook set ${wh_id} --secret-file -${user}
Until then what comes is kept, answered, and not handed out; it is judged when the secret is set.
`);
  if (wantsToken(known) && verify?.token === undefined)
    io.out(`\nThe verify token is not set yet: restante webhook set ${wh_id} --token-file FILE${user}\n`);
  if (hint) io.out(`\nWarning: ${hint} docs/deploy.md tells how.\n`);
}

function tellReleased(io: Io, { wh_id, released = 0, waiting = 0, refused = 0 }: Told): void {
  if (refused > 0)
    io.out(
      `\n${refused} of its requests failed a check. To judge them again: POST /refusals/release {"whid":${wh_id}}\n`,
    );
  if (released + waiting === 0) return;
  io.out(`\nOf what came before its secret, ${released} passed the check and can be fetched now`);
  io.out(waiting > 0 ? `; ${waiting} did not pass and stay refusals: GET /refusals?kind=secret_missing\n` : '.\n');
}
