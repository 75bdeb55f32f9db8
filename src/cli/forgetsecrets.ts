// restante webhook forget-secrets: the way out when SECRETS_KEY is lost. Forgets what only that key could read, and the key.
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { openSealer, WrongSecretsKey } from '../flow/sealer.ts';
import { isToken } from '../http/sealedtoken.ts';
import { decodeName } from '../http/wire.ts';
import type { Store } from '../store/index.ts';
import { forgetSecrets, listAllSealed, readKeyMark } from '../store/secrets.ts';
import { withExtended } from './extended.ts';
import { Complaint, type Io, plain, table } from './io.ts';
import { configOf, verb } from './verb.ts';

interface Options {
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const forgetSecretsCommand = (io: Io): Command =>
  verb({
    name: 'forget-secrets',
    summary: 'When SECRETS_KEY is lost: forget the secrets of all webhooks of all users, so that new ones can be set.',
    examples: [
      'restante webhook forget-secrets          tells whose they are, and asks',
      'restante webhook forget-secrets --yes    does not ask',
    ],
    settings: ['databaseUrl', 'secretsKey'],
  })
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      const config = configOf(io, options as Record<string, unknown>);
      if (!options.yes && !io.tty) throw new Complaint('nobody can be asked here: add --yes', 2);
      await withExtended(config, (store) => forget(io, store, config, options));
    });

async function forget(io: Io, store: Store, config: Config, { yes, json }: Options): Promise<void> {
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
    const reads = (await isRight(store, config)) ? 'The key that is set here can read them. ' : '';
    const answer = await io.ask(`${reads}Forget them for good? Type yes: `);
    if (answer.trim() !== 'yes') throw new Complaint('not answered with yes: nothing was done');
  }
  await forgetSecrets(store.db);
  if (json) io.out(`${JSON.stringify({ forgotten: sealed.map(({ wh_id, user_id }) => ({ wh_id, user_id })) })}\n`);
  else
    io.out(`
The secrets of ${sealed.length} webhooks are forgotten, and the key that they were encrypted with. The next secret fixes the key anew.
What comes for these webhooks is kept, answered, and not handed out; it is judged when their secret is set:
restante webhook set ID --secret-file - --user ID
`);
}

/** Somebody may have only thought that the key is lost. */
async function isRight(store: Store, { secretsKey, databaseUrl }: Config): Promise<boolean> {
  if ((await readKeyMark(store.db)) === undefined) return false;
  try {
    await openSealer(store, secretsKey, databaseUrl);
    return true;
  } catch (error) {
    if (error instanceof WrongSecretsKey) return false;
    throw error;
  }
}
