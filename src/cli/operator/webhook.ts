// restante webhook add|set|list|show|rotate|enable|disable|delete: the public URLs of a user, for operators.
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import type { WebhookDetail } from '../../schema/webhooks.ts';
import type { Store } from '../../store/open.ts';
import { decodeName } from '../../store/text.ts';
import {
  deleteWebhook,
  findWebhook,
  forgetSecrets,
  listAllSealed,
  listWebhooks,
  type WebhookRow,
} from '../../store/webhooks.ts';
import { PRESETS } from '../../verify/presets/index.ts';
import { openSealer, type Sealer } from '../../webhooks/sealer.ts';
import { isToken } from '../../webhooks/target.ts';
import {
  changeWebhook,
  makeWebhook,
  owned,
  rotateWebhook,
  webhookClassic,
  webhookDetail,
} from '../../webhooks/webhooks.ts';
import { Complaint, type Io, insistOnYes, mustBeAsked, plain, table } from '../io.ts';
import { ageOf } from '../line.ts';
import { lookAtKey, userIdOf, withExtended, withStore } from '../open.ts';
import { judgeWaiting } from '../serve.ts';
import { COMMON, configOf, type Examples, noun, verb, whole } from '../verb.ts';
import { wantsToken } from './presets.ts';
import {
  asCreate,
  asPatch,
  complaintOf,
  MOST_LISTED,
  readSecret,
  readSecrets,
  type SettingFlags,
  settingsOf,
  warnOfLooks,
  webhookIdOf,
  withChanges,
  withSettings,
} from './webhook-flags.ts';

interface Options extends SettingFlags {
  readonly user?: string;
  readonly json?: boolean;
  readonly grace?: string;
  readonly yes?: boolean;
}
interface Parts {
  readonly io: Io;
  readonly store: Store;
  readonly config: Config;
  readonly now: () => number;
}
type Work = (parts: Parts, userId: number, argument: string, options: Options) => Promise<Told | Told[]>;

/** Settings exist only for webhooks that we made. */
const told = (webhook: WebhookRow, publicUrl: string): Told =>
  webhook.settings ? webhookDetail(webhook, publicUrl) : webhookClassic(webhook, publicUrl);

const idOf = ({ store }: Parts, userId: number, text: string): Promise<number> =>
  webhookIdOf(store, userId, text, { flag: 'ID' });

/** Opened only to encrypt or to verify something: a plain webhook needs no key. */
const sealerOf = ({ io, store, config }: Parts): Promise<Sealer> =>
  openSealer(store, config.secretsKey, config.databaseUrl, (from) => {
    const file = from === 'SECRETS_KEY' ? io.env.SECRETS_KEY_FILE : undefined;
    io.err(
      `The first secret: this database now needs the key of ${file ? `SECRETS_KEY_FILE (${file})` : from}, in every process that uses it. Keep a copy.\n`,
    );
  });

const tokenOf = async (io: Io, { tokenFile }: Options): Promise<string | undefined> =>
  tokenFile === undefined ? undefined : readSecret(io, '--token-file', tokenFile);

const make: Work = async (parts, userId, name, options) => {
  const secrets = await readSecrets(parts.io, options, []);
  const settings = settingsOf(options, await tokenOf(parts.io, options));
  const input = asCreate({ wh_name: name, ...settings, ...(secrets ? { secrets } : {}) });
  const sealed = secrets ?? input.verify?.token;
  const made = await makeWebhook(sealed ? { ...parts, sealer: await sealerOf(parts) } : parts, userId, input);
  warnOfLooks(parts.io, made.preset, secrets);
  return made;
};

const change: Work = async (parts, userId, id, options) => {
  const whId = await idOf(parts, userId, id);
  const { secrets: before } = await owned(parts, userId, whId);
  const secrets = await readSecrets(parts.io, options, before);
  const settings = settingsOf(options, await tokenOf(parts.io, options));
  const patch = asPatch({ ...settings, ...(secrets ? { secrets } : {}) });
  if (Object.keys(patch).length === 0) throw new Complaint('nothing to change: restante webhook set --help', 2);
  if (!secrets && !patch.preset && !patch.verify) return changeWebhook(parts, userId, whId, patch);
  const sealer = await sealerOf(parts);
  const changed = await changeWebhook({ ...parts, sealer }, userId, whId, patch);
  warnOfLooks(parts.io, changed.preset, secrets);
  return { ...changed, ...(await judgeWaiting({ ...parts, sealer }, userId, whId)) };
};

const show: Work = async (parts, userId, id) => {
  const webhook = await findWebhook(parts.store, userId, await idOf(parts, userId, id));
  if (!webhook) throw new Complaint(`user ${userId} has no webhook ${id}: restante webhook list`);
  return told(webhook, parts.config.publicUrl);
};

const rotate: Work = async (parts, userId, id, { grace = '86400' }) => {
  const seconds = whole(grace, '--grace', 0, 30 * 86_400);
  const rotated = await rotateWebhook(parts, userId, await idOf(parts, userId, id), seconds);
  const ends = new Date(parts.now() + seconds * 1000).toISOString();
  parts.io.err(
    seconds === 0
      ? 'The old URL has ended: senders that still use it get 404.\n'
      : `The old URL ends in ${ageOf(seconds)}, at ${ends}. Give the new one to the provider before.\n`,
  );
  return rotated;
};

const remove: Work = async (parts, userId, id, { yes }) => {
  const { io, store, config } = parts;
  const { wh_id } = await owned(parts, userId, await idOf(parts, userId, id));
  const webhook = (await findWebhook(store, userId, wh_id)) as WebhookRow;
  const name = plain(decodeName(webhook.wh_name));
  mustBeAsked(io, yes);
  if (!yes) await insistOnYes(io, `Delete webhook ${wh_id} (${name})? Its URL ends at once, its contents stay.`);
  await deleteWebhook(store, userId, wh_id);
  io.err(`Webhook ${wh_id} (${name}) is deleted: its URL ends within 5 s. Its contents stay.\n`);
  return told(webhook, config.publicUrl);
};

const enable =
  (enabled: boolean): Work =>
  async (parts, userId, id) =>
    changeWebhook(parts, userId, await idOf(parts, userId, id), { enabled });

export const webhookCommand = (io: Io): Command => {
  const command = noun(
    'webhook',
    'Webhooks: add, change, list, show, rotate the URL, enable, disable, delete, forget secrets.',
    ['restante webhook add "Payments" --preset stripe --secret-file -', 'restante webhook list'],
    [],
  );
  const add = (name: string, argument: string, summary: string, examples: Examples, work: Work): Command => {
    const secret = name === 'add' || name === 'set';
    const settings = [
      ...COMMON,
      'webhookIdFrom',
      'webhooksPerUser',
      ...(secret ? (['secretsKey'] as const) : []),
    ] as const;
    const made = verb({ name, summary, examples, settings });
    if (argument) made.argument(argument);
    made
      .option('--user <id>', 'the owner of the webhook; not needed while there is one user')
      .option('--json', 'as JSON');
    made.action(async (...given: unknown[]) => {
      const options = given.at(-2) as Options;
      const config = configOf(io, options);
      const act = async (store: Store) => {
        if (!store.extended) throw new Complaint('webhooks need our tables: restante migrate', 2);
        const userId = await userIdOf(store, options.user);
        const result = await work({ io, store, config, now: Date.now }, userId, String(given[0]), options).catch(
          (error: unknown) => {
            throw complaintOf(error);
          },
        );
        tellWebhook(io, result, {
          user: options.user,
          json: options.json === true,
          steps: ['add', 'set', 'show', 'rotate'].includes(name),
        });
      };
      await withStore(config, act, { makes: name === 'add' });
    });
    command.addCommand(made);
    return made;
  };

  withSettings(
    add(
      'add',
      '<name>',
      'Make a webhook and print its URL, and what to do with it at the provider.',
      [
        'restante webhook add "Payments" --preset stripe --secret-file -',
        'restante webhook add "Leads" --preset activecampaign --user 1',
        'restante webhook add "WhatsApp" --preset meta --secret-file app-secret --token-file verify-token',
      ],
      make,
    ),
  );
  withChanges(
    add(
      'set',
      '<webhook>',
      'Change a webhook. Once its secret is set, requests that came earlier are verified.',
      [
        'restante webhook set Payments --secret-file -',
        'restante webhook set 1 --add-secret-file new --secret-expires 24h   rotation: for a day both count',
        'restante webhook set 1 --verify \'{"tolerance_seconds":600}\' --on-reject drop',
      ],
      change,
    ),
  );
  add(
    'list',
    '',
    "List a user's webhooks.",
    ['restante webhook list', 'restante webhook list --user 1 --json'],
    async ({ store, config }, userId) =>
      (await listWebhooks(store, userId, { limit: MOST_LISTED })).map((webhook) => told(webhook, config.publicUrl)),
  );
  add(
    'show',
    '<webhook>',
    'Show a webhook and its settings.',
    ['restante webhook show 1', 'restante webhook show 1 --json'],
    show,
  );
  add(
    'rotate',
    '<webhook>',
    'Give a webhook a new URL; the old one goes on for a while.',
    ['restante webhook rotate 1', 'restante webhook rotate 1 --grace 0   the old URL ends at once'],
    rotate,
  ).option('--grace <seconds>', 'how long the old URL goes on', '86400');
  add(
    'enable',
    '<webhook>',
    'Enable a webhook: it receives again.',
    ['restante webhook enable 1', 'restante webhook enable 1 --user 2 --json'],
    enable(true),
  );
  add(
    'disable',
    '<webhook>',
    'Disable a webhook: within 5 s senders get 503 and try later, until it is enabled again.',
    ['restante webhook disable 1', 'restante webhook disable 1 --user 2 --json'],
    enable(false),
  );
  add(
    'delete',
    '<webhook>',
    'Delete a webhook: its URLs end, its contents stay.',
    ['restante webhook delete Payments', 'restante webhook delete 1 --yes'],
    remove,
  ).option('--yes', 'do not ask');
  command.addCommand(forgetSecretsCommand(io));
  return command;
};

// forget-secrets: the way out when SECRETS_KEY is lost ---------------------------------------------------------------

interface ForgetOptions {
  readonly yes?: boolean;
  readonly json?: boolean;
}

const forgetSecretsCommand = (io: Io): Command =>
  verb({
    name: 'forget-secrets',
    summary: 'When SECRETS_KEY is lost: forget the secrets of all webhooks of all users, so that new ones can be set.',
    examples: [
      'restante webhook forget-secrets          lists the webhooks, and asks',
      'restante webhook forget-secrets --yes    does not ask',
    ],
    settings: ['databaseUrl', 'secretsKey'],
  })
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .action(async (options: ForgetOptions) => {
      const config = configOf(io, options);
      mustBeAsked(io, options.yes);
      await withExtended(config, (store) => forget(io, store, config, options));
    });

async function forget(io: Io, store: Store, config: Config, { yes, json }: ForgetOptions): Promise<void> {
  const sealed = (await listAllSealed(store.db)).map(({ wh_id, user_id, wh_name, secrets }) => ({
    wh_id,
    user_id,
    wh_name: plain(decodeName(wh_name)),
    loses: [...(secrets.every(isToken) ? [] : ['secret']), ...(secrets.some(isToken) ? ['verify token'] : [])].join(
      ', ',
    ),
  }));
  if (!json && sealed.length > 0) io.out(table(sealed, ['wh_id', 'user_id', 'wh_name', 'loses']));
  if (!yes) {
    // The key may not be lost after all.
    const reads = (await lookAtKey(store, config)) === 'right' ? 'The key that is set here can read them. ' : '';
    const answer = await io.ask(`${reads}Forget them for good? Type yes: `);
    if (answer.trim() !== 'yes') throw new Complaint('not answered with yes: nothing was done');
  }
  await forgetSecrets(store.db);
  if (json) io.out(`${JSON.stringify({ forgotten: sealed.map(({ wh_id, user_id }) => ({ wh_id, user_id })) })}\n`);
  else
    io.out(`
The secrets of ${sealed.length} webhooks are forgotten, and the key that they were encrypted with. The next secret is encrypted with the present key.
Until a webhook has its secret again, its requests are answered and kept, but not handed out. They are verified when it is set:
restante webhook set ID --secret-file - --user ID
`);
}

// Output: a table of webhooks, or one with its settings and the steps at the provider --------------------------------

type Detail = WebhookDetail & {
  /** Of requests that came before the secret: how many became contents, and how many did not. */
  readonly released?: number;
  readonly waiting?: number;
  /** Requests that failed an earlier check. */
  readonly refused?: number;
};
type Told = Pick<Detail, 'wh_id' | 'wh_url' | 'wh_name' | 'status'> & Partial<Detail>;

interface How {
  readonly json: boolean;
  /** With what to do at the provider. */
  readonly steps: boolean;
  readonly user: string | undefined;
}

function tellWebhook(io: Io, result: Told | Told[], { json, steps, user }: How): void {
  if (json) io.out(`${JSON.stringify(result)}\n`);
  else if (Array.isArray(result)) io.out(table(result, ['wh_id', 'status', 'wh_name', 'preset', 'wh_url'], io.width));
  else {
    for (const [name, value] of Object.entries(rows(result))) io.out(`${name.padEnd(15)} ${plain(value)}\n`);
    if (steps) tellSteps(io, result, user === undefined ? '' : ` --user ${user}`);
    tellReleased(io, result);
  }
}

/** Without the settings that have their defaults: the documentation has those. */
function rows(webhook: Told): Record<string, string> {
  const { wh_id, wh_url, wh_name, status, preset, secrets, response, created_at } = webhook;
  const classic = {
    wh_id: String(wh_id),
    wh_url,
    wh_name,
    status: status === 1 ? '1 (enabled)' : `${status} (disabled)`,
  };
  if (!response) return classic;
  const others = [
    'verify',
    'dedupe',
    'on_reject',
    'max_body_bytes',
    'allow_methods',
    'allow_networks',
    'allow_origins',
  ] as const;
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
Until then requests are answered and kept, but not handed out. They are verified when the secret is set.
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
