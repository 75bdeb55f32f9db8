// restante webhook add|list|show|rotate|enable|disable: the public URLs of a user, for operators.
import { Command } from 'commander';
import type { Config } from '../config.ts';
import { Problem } from '../errors.ts';
import { changeWebhook, makeWebhook, rotateWebhook, webhookClassic, webhookDetail } from '../http/webhooksettings.ts';
import type { WebhookDetail } from '../schemawebhooks.ts';
import type { Store } from '../store/index.ts';
import { listUserIds } from '../store/users.ts';
import { findWebhook, listWebhooks, type Webhook } from '../store/webhooks.ts';
import { Complaint, type Io, table } from './io.ts';
import { withStore } from './open.ts';
import { COMMON, configOf, verb } from './verb.ts';

interface Options {
  readonly user?: string;
  readonly json?: boolean;
  readonly grace?: string;
}
interface Parts {
  readonly store: Store;
  readonly config: Config;
  readonly now: () => number;
}
type Work = (parts: Parts, userId: number, argument: string, options: Options) => Promise<Told | Told[]>;
type Told = Pick<WebhookDetail, 'wh_id' | 'wh_url' | 'wh_name' | 'status'>;

const whole = (text: string, what: string, most = 4_294_967_295): number => {
  if (!/^\d{1,10}$/.test(text) || Number(text) > most)
    throw new Complaint(`${what} must be a whole number up to ${most}, not ${text}`, 2);
  return Number(text);
};

async function userIdOf(store: Store, given: string | undefined): Promise<number> {
  const users = await listUserIds(store.db);
  const id = given === undefined ? users[0]?.id : whole(given, '--user');
  if (given === undefined && users.length !== 1)
    throw new Complaint(`there are ${users.length} users: say which one with --user ID (restante user list)`, 2);
  if (id === undefined || !users.some((user) => user.id === id))
    throw new Complaint(`there is no user ${id}: restante user list`);
  return id;
}

/** Settings exist only for webhooks that we made. */
const told = (webhook: Webhook, publicUrl: string): Told =>
  webhook.settings ? webhookDetail(webhook, publicUrl) : webhookClassic(webhook, publicUrl);

export const webhookCommand = (io: Io): Command => {
  const command = new Command('webhook')
    .description('Webhooks: add, list, show, rotate the URL, enable, disable.')
    .addHelpText('after', '\nExamples:\n  restante webhook add "Payments"\n');
  const add = (name: string, argument: string, summary: string, example: string, work: Work): Command => {
    const made = verb({ name, summary, examples: [example], settings: [...COMMON, 'webhookIdFrom'] });
    if (argument) made.argument(argument);
    made.option('--user <id>', 'whose webhook; may be left out while there is one user').option('--json', 'as JSON');
    if (name === 'rotate') made.option('--grace <seconds>', 'how long the old URL goes on', '86400');
    made.action(async (...given: unknown[]) => {
      const options = given.at(-2) as Options;
      const config = configOf(io, options as Record<string, unknown>);
      await withStore(config, async (store) => {
        if (!store.extended) throw new Complaint('webhooks need our tables: restante migrate', 2);
        const parts = { store, config, now: Date.now };
        const userId = await userIdOf(store, options.user);
        const result = await work(parts, userId, String(given[0]), options).catch((error: unknown) => {
          throw error instanceof Problem ? new Complaint(error.message) : error;
        });
        tell(io, result, options.json === true);
      });
    });
    command.addCommand(made);
    return made;
  };
  const detail = async ({ store, config }: Parts, userId: number, id: string) => {
    const webhook = await findWebhook(store, userId, whole(id, 'the webhook id'));
    if (!webhook) throw new Complaint(`user ${userId} has no webhook ${id}: restante webhook list`);
    return told(webhook, config.publicUrl);
  };
  const enable =
    (enabled: boolean): Work =>
    (parts, userId, id) =>
      changeWebhook(parts, userId, whole(id, 'the webhook id'), { enabled });

  add(
    'add',
    '<name>',
    'Make a webhook and print its URL.',
    'restante webhook add "Payments" --user 1',
    (parts, userId, wh_name) => makeWebhook(parts, userId, { wh_name }),
  );
  add('list', '', "List a user's webhooks.", 'restante webhook list --json', async ({ store, config }, userId) =>
    (await listWebhooks(store, userId)).map((webhook) => told(webhook, config.publicUrl)),
  );
  add('show', '<wh_id>', 'Show a webhook and its settings.', 'restante webhook show 1', detail);
  add(
    'rotate',
    '<wh_id>',
    'Give a webhook a new URL; the old one goes on for a while.',
    'restante webhook rotate 1 --grace 3600',
    (parts, userId, id, { grace = '86400' }) =>
      rotateWebhook(parts, userId, whole(id, 'the webhook id'), whole(grace, '--grace', 30 * 86_400)),
  );
  add('enable', '<wh_id>', 'Receive again.', 'restante webhook enable 1', enable(true));
  add(
    'disable',
    '<wh_id>',
    'Answer senders 503 until it is enabled again: they try later.',
    'restante webhook disable 1',
    enable(false),
  );
  return command;
};

function tell(io: Io, result: Told | Told[], json: boolean): void {
  if (json) io.out(`${JSON.stringify(result)}\n`);
  else if (Array.isArray(result)) io.out(table(result, ['wh_id', 'status', 'wh_name', 'wh_url']));
  else
    for (const [name, value] of Object.entries(result))
      io.out(`${name.padEnd(15)} ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
}
