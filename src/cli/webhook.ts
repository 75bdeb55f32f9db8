// restante webhook add|set|list|show|rotate|enable|disable: the public URLs of a user, for operators.
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { openSealer, type Sealer } from '../flow/sealer.ts';
import {
  changeWebhook,
  makeWebhook,
  owned,
  rotateWebhook,
  webhookClassic,
  webhookDetail,
} from '../http/webhooksettings.ts';
import type { Store } from '../store/index.ts';
import { findWebhook, listWebhooks, type Webhook } from '../store/webhooks.ts';
import { forgetSecretsCommand } from './forgetsecrets.ts';
import { Complaint, type Io } from './io.ts';
import { withStore } from './open.ts';
import { MOST_ID, whole } from './options.ts';
import { readSecret, readSecrets, warnOfLooks } from './secretinput.ts';
import { COMMON, configOf, type Examples, noun, verb } from './verb.ts';
import { judgeWaiting } from './waiting.ts';
import {
  asCreate,
  asPatch,
  complaintOf,
  type SettingFlags,
  settingsOf,
  withChanges,
  withSettings,
} from './webhookflags.ts';
import { type Told, tellWebhook } from './webhooktell.ts';
import { userIdOf } from './whose.ts';

interface Options extends SettingFlags {
  readonly user?: string;
  readonly json?: boolean;
  readonly grace?: string;
}
interface Parts {
  readonly io: Io;
  readonly store: Store;
  readonly config: Config;
  readonly now: () => number;
}
type Work = (parts: Parts, userId: number, argument: string, options: Options) => Promise<Told | Told[]>;

/** Settings exist only for webhooks that we made. */
const told = (webhook: Webhook, publicUrl: string): Told =>
  webhook.settings ? webhookDetail(webhook, publicUrl) : webhookClassic(webhook, publicUrl);

const idOf = (text: string): number => whole(text, 'the webhook id', 1, MOST_ID);

/** Opened only where there is something to encrypt or to judge: a plain webhook needs no key. */
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
  const whId = idOf(id);
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

const show: Work = async ({ store, config }, userId, id) => {
  const webhook = await findWebhook(store, userId, idOf(id));
  if (!webhook) throw new Complaint(`user ${userId} has no webhook ${id}: restante webhook list`);
  return told(webhook, config.publicUrl);
};

const enable =
  (enabled: boolean): Work =>
  (parts, userId, id) =>
    changeWebhook(parts, userId, idOf(id), { enabled });

export const webhookCommand = (io: Io): Command => {
  const command = noun(
    'webhook',
    'Webhooks: add, change, list, show, rotate the URL, enable, disable, forget secrets.',
    ['restante webhook add "Payments" --preset stripe --secret-file -', 'restante webhook list'],
    [],
  );
  const add = (name: string, argument: string, summary: string, examples: Examples, work: Work): Command => {
    const secret = name === 'add' || name === 'set';
    const settings = [...COMMON, 'webhookIdFrom', ...(secret ? (['secretsKey'] as const) : [])] as const;
    const made = verb({ name, summary, examples, settings });
    if (argument) made.argument(argument);
    made.option('--user <id>', 'whose webhook; may be left out while there is one user').option('--json', 'as JSON');
    made.action(async (...given: unknown[]) => {
      const options = given.at(-2) as Options;
      const config = configOf(io, options as Record<string, unknown>);
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
      '<wh_id>',
      'Change a webhook; what came before its secret is judged then.',
      [
        'restante webhook set 1 --secret-file -',
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
      (await listWebhooks(store, userId)).map((webhook) => told(webhook, config.publicUrl)),
  );
  add(
    'show',
    '<wh_id>',
    'Show a webhook and its settings.',
    ['restante webhook show 1', 'restante webhook show 1 --json'],
    show,
  );
  add(
    'rotate',
    '<wh_id>',
    'Give a webhook a new URL; the old one goes on for a while.',
    ['restante webhook rotate 1', 'restante webhook rotate 1 --grace 0   the old URL ends at once'],
    (parts, userId, id, { grace = '86400' }) =>
      rotateWebhook(parts, userId, idOf(id), whole(grace, '--grace', 0, 30 * 86_400)),
  ).option('--grace <seconds>', 'how long the old URL goes on', '86400');
  add(
    'enable',
    '<wh_id>',
    'Receive again.',
    ['restante webhook enable 1', 'restante webhook enable 1 --user 2 --json'],
    enable(true),
  );
  add(
    'disable',
    '<wh_id>',
    'Answer senders 503, within 5 s, until it is enabled again: they try later.',
    ['restante webhook disable 1', 'restante webhook disable 1 --user 2 --json'],
    enable(false),
  );
  command.addCommand(forgetSecretsCommand(io));
  return command;
};
