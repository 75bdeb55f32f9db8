// restante user add|list|rotate|delete: the users who may sign in. On MySQL their table belongs to another application.
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { deleteConsumer, listConsumers } from '../../store/consumers.ts';
import type { Store } from '../../store/open.ts';
import { addUser, deleteUser, findUsers, listUsers, rotateToken } from '../../store/users.ts';
import { deleteWebhook, nameWebhooks } from '../../store/webhooks.ts';
import { randomText } from '../../webhooks/sealer.ts';
import { Complaint, type Io, insistOnYes, mustBeAsked, table } from '../io.ts';
import { withStore } from '../open.ts';
import { configOf, MOST_ID, noun, verb, whole } from '../verb.ts';

interface Options {
  readonly json?: boolean;
  readonly writeTbluser?: boolean;
  readonly yes?: boolean;
  readonly email?: string;
  readonly phone?: string;
}
const newToken = () => randomText(32);

function mayWrite(config: Config, options: Options): void {
  if (config.databaseUrl.startsWith('mysql:') && !options.writeTbluser)
    throw new Complaint(
      'tbluser belongs to another application on MySQL. If you mean to write to it, add --write-tbluser',
      2,
    );
}

const PAGE = 1_000;

/** The user goes last: what was cut short can be run again. */
async function removeAll(store: Store, userId: number): Promise<{ webhooks: number; consumers: number }> {
  const gone = { webhooks: 0, consumers: 0 };
  for (let from = 0, page = PAGE; page === PAGE; ) {
    const some = await nameWebhooks(store, userId, { from, limit: PAGE });
    // Those of other applications are theirs to delete.
    for (const { wh_id, url_key } of some)
      if (url_key !== null && (await deleteWebhook(store, userId, wh_id))) gone.webhooks++;
    page = some.length;
    from = (some.at(-1)?.wh_id ?? 0) + 1;
  }
  for (const { name } of store.extended ? await listConsumers(store.db, userId) : [])
    if (await deleteConsumer(store.db, userId, name)) gone.consumers++;
  await deleteUser(store.db, userId);
  return gone;
}

export const userCommand = (io: Io): Command => {
  const settings = ['databaseUrl'] as const;
  const tell = (options: Options, id: number, token: string) =>
    io.out(
      options.json ? `${JSON.stringify({ id, token })}\n` : `user id   ${id}\ntoken     ${token}   (shown only now)\n`,
    );
  const add = verb({
    name: 'add',
    summary: 'Add a user and print the token, once.',
    examples: ['restante user add --email ana@example.org', 'restante user add --json --write-tbluser   on MySQL'],
    settings,
  })
    .option('--email <address>', 'at most 45 characters', '')
    .option('--phone <number>', 'at most 45 characters', '')
    .option('--write-tbluser', 'on MySQL: yes, write to that table')
    .option('--json', 'as JSON')
    .action((options: Options) => {
      const config = configOf(io, options);
      mayWrite(config, options);
      if ([options.email, options.phone].some((text) => (text ?? '').length > 45))
        throw new Complaint('--email and --phone hold at most 45 characters', 2);
      const { email = '', phone = '' } = options;
      return withStore(
        config,
        async ({ db }) => {
          const token = newToken();
          tell(options, await addUser(db, { email, phone, token }), token);
        },
        { makes: true },
      );
    });
  const list = verb({
    name: 'list',
    summary: 'List the users.',
    examples: ['restante user list', 'restante user list --json'],
    settings,
  })
    .option('--json', 'as JSON')
    .action((options: Options) =>
      withStore(configOf(io, options), async ({ db }) => {
        const users = await listUsers(db);
        io.out(options.json ? `${JSON.stringify(users)}\n` : table(users, ['id', 'email', 'status'], io.width));
      }),
    );
  const rotate = verb({
    name: 'rotate',
    summary: 'Give a user another token; the old one ends within 5 s.',
    examples: ['restante user rotate 1', 'restante user rotate 1 --write-tbluser   on MySQL'],
    settings,
  })
    .argument('<id>', 'user id')
    .option('--write-tbluser', 'on MySQL: yes, write to that table')
    .option('--json', 'as JSON')
    .action((id: string, options: Options) => {
      const config = configOf(io, options);
      const userId = whole(id, 'the user id', 1, MOST_ID);
      mayWrite(config, options);
      return withStore(config, async ({ db }) => {
        const token = newToken();
        if (!(await rotateToken(db, userId, token))) throw new Complaint(`there is no user ${id}: restante user list`);
        tell(options, userId, token);
      });
    });
  const remove = verb({
    name: 'delete',
    summary: 'Delete a user, with webhooks and consumers; the contents stay until restante erase removes them.',
    examples: ['restante user delete 7', 'restante user delete 7 --yes --write-tbluser   on MySQL'],
    settings,
  })
    .argument('<id>', 'user id')
    .option('--write-tbluser', 'on MySQL: yes, write to that table')
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .action((id: string, options: Options) => {
      const config = configOf(io, options);
      const userId = whole(id, 'the user id', 1, MOST_ID);
      mayWrite(config, options);
      mustBeAsked(io, options.yes);
      return withStore(config, async (store) => {
        if (!(await findUsers(store.db, [userId])).has(userId))
          throw new Complaint(`there is no user ${id}: restante user list`);
        const what = `Delete user ${id}? The token ends within 5 s, and so do the URLs of the webhooks made here.`;
        if (!options.yes) await insistOnYes(io, what);
        const gone = await removeAll(store, userId);
        if (options.json) return io.out(`${JSON.stringify({ id: userId, ...gone })}\n`);
        io.out(`user ${id} is deleted, with ${gone.webhooks} webhooks and ${gone.consumers} consumers\n`);
        io.err(`What was received stays. To erase it: restante erase --user ${id}\n`);
      });
    });
  const examples = ['restante user add --email ana@example.org', 'restante user rotate 1'] as const;
  return noun('user', 'Users: add, list, rotate the token, delete.', examples, [add, list, rotate, remove]);
};
