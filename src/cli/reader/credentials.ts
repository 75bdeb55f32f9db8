// Where a client verb finds the service and its credentials: the environment or a private file, never an argument.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient, RestanteError } from '../../client/index.ts';
import { Complaint, type Io } from '../io.ts';

export interface ClientFlags {
  readonly url?: string;
  readonly authFile?: string;
}

/** Where the service is. */
export function serviceOf({ env }: Pick<Io, 'env'>, flags: ClientFlags): string {
  const url = flags.url ?? env.RESTANTE_URL ?? readKept(env).RESTANTE_URL ?? 'http://127.0.0.1:4343';
  if (!/^https?:\/\/./.test(url)) throw new Complaint(`--url must be http:// or https://, not ${url}`, 2);
  return url.replace(/\/+$/, '');
}

/** The client of a verb. Complains when credentials are missing, and says where they may stand. */
export function clientOf(io: Io, flags: ClientFlags): Client {
  const { env } = io;
  const url = serviceOf(io, flags);
  const kept = readKept(env);
  const file = flags.authFile ?? env.RESTANTE_AUTH_FILE;
  const auth = file ? readSecretFile(file) : (env.RESTANTE_AUTH ?? kept.RESTANTE_AUTH);
  if (!auth)
    throw new Complaint(
      'no credentials: set RESTANTE_AUTH=id:token (or RESTANTE_AUTH_FILE, or both lines in ~/.config/restante/credentials, mode 0600)',
      2,
    );
  if (!/^\d+:./.test(auth)) throw new Complaint('RESTANTE_AUTH must be id:token, such as 1:Vt3kZq8LxN2pWc7R', 2);
  return createClient({ url, auth: auth.trim(), fetch: proxied(env) });
}

/** HTTP(S)_PROXY and NO_PROXY count towards the server, as with curl. */
function proxied(env: Io['env']): typeof fetch {
  const named = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].some((name) => env[name]);
  if (!named) return globalThis.fetch;
  let sending: Promise<typeof fetch> | undefined;
  const load = async (): Promise<typeof fetch> => {
    // In a bundle only the default export is there.
    const { default: undici } = await import('undici');
    // A tunnel only to https://: many proxies allow tunnels to port 443 alone.
    const dispatcher = new undici.EnvHttpProxyAgent({ proxyTunnel: false });
    return ((input: string, init: object) => undici.fetch(input, { ...init, dispatcher })) as unknown as typeof fetch;
  };
  return async (input, init) => {
    sending ??= load();
    return (await sending)(input, init);
  };
}

function readSecretFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Complaint(`cannot read ${file}: ${(error as Error).message}`, 2);
  }
}

/** `~/.config/restante/credentials`, lines as RESTANTE_AUTH=1:token; refused when others can read it. */
function readKept(env: Io['env']): Record<string, string> {
  const home = env.XDG_CONFIG_HOME ?? (env.HOME && join(env.HOME, '.config'));
  if (!home) return {};
  const file = join(home, 'restante', 'credentials');
  let text: string;
  try {
    if ((statSync(file).mode & 0o077) !== 0) throw new Complaint(`others can read ${file}: chmod 600 ${file}`, 2);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Complaint) throw error;
    return {};
  }
  const pairs = text.split('\n').map((line) => /^\s*(RESTANTE_\w+)\s*=\s*(.*?)\s*$/.exec(line));
  return Object.fromEntries(pairs.flatMap((pair) => (pair ? [[pair[1] as string, pair[2] as string]] : [])));
}

/** Runs the work of a verb; an error of the service becomes a sentence. */
export async function withClient<T>(io: Io, flags: ClientFlags, work: (client: Client) => Promise<T>): Promise<T> {
  const client = clientOf(io, flags);
  try {
    return await work(client);
  } catch (error) {
    throw toComplaint(error);
  }
}

/** Undefined when the service answered with one of these statuses: 404 for a thing that is not there (any more). */
export const unless = <T>(call: Promise<T>, ...statuses: readonly number[]): Promise<T | undefined> =>
  call.catch((error: unknown) => {
    if (error instanceof RestanteError && statuses.includes(error.status)) return undefined;
    throw error;
  });

/** An error of the SDK in one sentence that says what to do. */
export function toComplaint(error: unknown): unknown {
  if (!(error instanceof RestanteError)) return error;
  if (error.status === 401) return new Complaint(`${error.message} (RESTANTE_AUTH)`, 2);
  if (error.code === 'start-needed')
    return new Complaint(
      `${error.problem.count} contents wait and this consumer is new: say --start earliest or --start latest`,
      2,
    );
  // A 404 was not asked wrongly: the thing may have been there before.
  return new Complaint(error.message, error.temporary || error.status === 404 ? 1 : 2);
}
