// A webhook on a command line: which one is meant, and its settings and secrets as flags, checked by the schemas of the API.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { TSchema } from 'typebox';
import { Errors } from 'typebox/schema';
import { isoTime } from '../../api/routes/consumers.ts';
import { Problem } from '../../errors.ts';
import { faultWords, settleUnions } from '../../schema/common.ts';
import { type SecretInput, WebhookCreate, WebhookPatch } from '../../schema/webhooks.ts';
import type { Store } from '../../store/open.ts';
import { decodeName } from '../../store/text.ts';
import { nameWebhooks, type SealedSecret } from '../../store/webhooks.ts';
import { PRESETS } from '../../verify/presets/index.ts';
import { unlike } from '../../verify/presets/preset.ts';
import { isToken } from '../../webhooks/target.ts';
import { Complaint, type Io, plain } from '../io.ts';
import { spanMs, webhooksNamed, whole } from '../verb.ts';
import { didYouMean } from './presets.ts';

export interface SettingFlags extends SecretFlags {
  readonly name?: string;
  readonly preset?: string;
  readonly verify?: string;
  readonly dedupe?: string;
  readonly onReject?: string;
  readonly days?: string;
}

const WHY = `A secret has no flag of its own: every user who may list processes sees their arguments, and shells keep them.
It comes from a file, from standard input (-), or from the environment variable RESTANTE_SECRET.`;

/** Of `add` and of `set`. */
export const withSettings = (command: Command): Command =>
  command
    .option('--preset <name>', 'the provider: restante presets lists them. With set, none takes it away')
    .option('--secret-file <file>', 'the secret to check with; - reads standard input. Replaces all secrets')
    .option(
      '--token-file <file>',
      'the verify token that you chose and typed in at the provider; - reads standard input',
    )
    .option('--verify <json>', 'how to verify, beside the preset or with --preset generic: docs/providers.md')
    .option('--dedupe <json>', 'how the same event is known again: {"from":"body:/id","window_seconds":86400}')
    .option('--on-reject <what>', 'a request that fails its check: keep it as a refusal, or drop it')
    .option('--days <n>', 'age in days at which its contents are removed, 0 = never; none: RETENTION_DAYS counts')
    .addHelpText('after', WHY);

/** Of `set` alone. */
export const withChanges = (command: Command): Command =>
  withSettings(command)
    .option('--name <text>', 'another name')
    .option('--add-secret-file <file>', 'one more secret beside those that are there; - reads standard input')
    .option(
      '--secret-expires <time>',
      'with --add-secret-file, the end of the old secrets: 24h, 7d, or 2026-12-01T12:00:00Z',
    );

export function jsonFlag(flag: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The message of JSON.parse would repeat the text.
    throw new Complaint(`${flag} is not JSON. In a shell, put it between single quotes`, 2);
  }
}

/** The flags as members of a request, without those that were not given. */
export function settingsOf(
  { name, preset, verify, dedupe, onReject, days }: SettingFlags,
  token: string | undefined,
): Record<string, unknown> {
  const rules = verify === undefined ? undefined : jsonFlag('--verify', verify);
  return {
    ...(name === undefined ? {} : { wh_name: name }),
    ...(preset === undefined ? {} : { preset: preset === 'none' ? null : preset }),
    ...(rules === undefined && token === undefined
      ? {}
      : { verify: token === undefined ? rules : { ...(rules as object | undefined), token } }),
    ...(dedupe === undefined ? {} : { dedupe: jsonFlag('--dedupe', dedupe) }),
    ...(onReject === undefined ? {} : { on_reject: onReject }),
    ...(days === undefined ? {} : { retention_days: daysOf(days) }),
  };
}

const daysOf = (text: string) => (text === 'none' ? null : whole(text, '--days', 0, 36_500));

export const asCreate = (input: unknown): WebhookCreate => checked(WebhookCreate, input);
export const asPatch = (input: unknown): WebhookPatch => checked(WebhookPatch, input);

const named = (path: string): string => path.replace(/^secrets\.\d+$/, 'the secret');

/** As the schema says, or a complaint that names each place; values are never repeated. */
function checked<T>(schema: TSchema, input: unknown): T {
  const [good, errors] = Errors(schema, input);
  if (good) return input as T;
  const told = new Map<string, string>();
  for (const { instancePath, message, keyword, params } of settleUnions(schema, errors)) {
    if (keyword === 'additionalProperties') continue;
    const path = named(instancePath.slice(1).replaceAll('/', '.'));
    const { allowedValues } = params as { allowedValues?: readonly unknown[] };
    // The API takes null for the default; there is no flag for that.
    const shown = allowedValues ? { allowedValues: allowedValues.filter((one) => one !== null) } : { ...params };
    const words =
      keyword === 'boolean'
        ? 'is not known here'
        : keyword === 'pattern'
          ? 'is not well-formed'
          : faultWords({ keyword, params: shown, message });
    if (!told.has(path)) told.set(path, `${path} ${words}`);
  }
  throw new Complaint([...told.values()].join('; '), 2);
}

/** What the API would answer, in the words of a command line. */
export const complaintOf = (error: unknown): unknown =>
  error instanceof Problem
    ? new Complaint(
        error.errors?.map(({ path, message }) => `${named(path.replace(/^body\./, ''))} ${message}`).join('; ') ??
          error.message,
        error.status === 422 || error.status === 409 ? 2 : 1,
      )
    : error;

// Secrets: from a file, standard input or the environment, never from an argument ------------------------------------

interface SecretFlags {
  readonly secretFile?: string;
  readonly addSecretFile?: string;
  readonly secretExpires?: string;
  readonly tokenFile?: string;
}

/** Errors repeat neither the file name nor its text: the name may be the secret itself, typed by mistake. */
export async function readSecret(io: Io, flag: string, file: string): Promise<string> {
  if (file === '-' && io.tty) io.err('Paste the secret (it is not shown), then press Enter and Ctrl-D:\n');
  // A newline at the end and a byte order mark at the start belong to the file, not to the secret.
  const text = (file === '-' ? await io.input() : readText(flag, file)).trim();
  if (text === '') throw new Complaint(`${flag}: there is no secret in it`, 2);
  return text;
}

function readText(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Complaint(`${flag}: that file cannot be read (${code}). It takes a file name or -, not the secret`, 2);
  }
}

/** The list of secrets as the API takes it; undefined when they are to stay as they are. */
export async function readSecrets(
  io: Io,
  { secretFile, addSecretFile, secretExpires, tokenFile }: SecretFlags,
  before: readonly SealedSecret[],
): Promise<SecretInput[] | undefined> {
  if (secretFile !== undefined && addSecretFile !== undefined)
    throw new Complaint('--secret-file replaces all secrets, --add-secret-file keeps them: give one of the two', 2);
  if (tokenFile === '-' && (secretFile === '-' || addSecretFile === '-'))
    throw new Complaint('standard input can be either the secret or the token: put one of them into a file', 2);
  if (secretExpires !== undefined && addSecretFile === undefined)
    throw new Complaint('--secret-expires ends the old secrets: give the new one with --add-secret-file', 2);
  if (secretFile !== undefined) return [await readSecret(io, '--secret-file', secretFile)];
  if (addSecretFile !== undefined) {
    const ends = secretExpires === undefined ? null : readMoment(secretExpires);
    const kept = before
      .filter((one) => !isToken(one))
      .map(({ id, expires_ms }) => ({ id, expires_at: earlier(expires_ms, ends) }));
    return [...kept, await readSecret(io, '--add-secret-file', addSecretFile)];
  }
  const text = io.env.RESTANTE_SECRET?.trim();
  if (!text) return undefined;
  io.err('The secret is taken from RESTANTE_SECRET.\n');
  return [text];
}

/** Warns of a secret that does not look like those of the provider. It is taken all the same, as providers change theirs. */
export function warnOfLooks(io: Io, preset: string | null | undefined, secrets: readonly SecretInput[] = []): void {
  const { title, secret = '' } = PRESETS.get(preset ?? '') ?? {};
  for (const one of secrets) {
    const look = typeof one === 'string' ? unlike(preset, one) : undefined;
    if (look !== undefined) io.err(`Warning: a secret of ${title} ${look}, and this one does not look so. ${secret}\n`);
  }
}

/** The earlier of two ends; null is never. */
const earlier = (...ends: readonly (number | null)[]): string | null => {
  const soonest = Math.min(...ends.map((ms) => ms ?? Number.POSITIVE_INFINITY));
  return soonest === Number.POSITIVE_INFINITY ? null : isoTime(soonest);
};

function readMoment(text: string): number {
  const span = spanMs(text);
  const ms = span !== undefined ? Date.now() + span : /^\d{4}-\d\d-\d\dT.+$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!(ms > Date.now()))
    throw new Complaint('--secret-expires must be a time to come: 2026-12-01T12:00:00Z, or 24h, or 7d', 2);
  return ms;
}

// Which webhook is meant ------------------------------------------------------------------------------------------------

// Of other applications there may be any number.
export const MOST_LISTED = 10_000;

/**
 * A webhook of a user by its id or its name; undefined: the only one. `flag`: how it is named on the
 * command line. `ours`: not those of other applications.
 */
export async function webhookIdOf(
  store: Store,
  userId: number,
  given: string | undefined,
  { flag, ours = false }: { readonly flag: string; readonly ours?: boolean },
): Promise<number> {
  const rows = (await nameWebhooks(store, userId, { limit: MOST_LISTED })).filter((row) => !ours || row.url_key);
  const all = rows.map((row) => ({ name: decodeName(row.wh_name), id: row.wh_id }));
  if (all.length === 0)
    throw new Complaint(`user ${userId} has no webhook yet: restante webhook add NAME --preset NAME`, 2);
  const found = given === undefined ? all : webhooksNamed(all, given);
  if (found.length === 1) return found[0]?.id as number;
  if (given === undefined)
    throw new Complaint(`there are ${all.length} webhooks: say which one with ${flag} (restante webhook list)`, 2);
  if (found.length > 1)
    throw new Complaint(
      `${found.length} webhooks have this name: say its id (${found.map(({ id }) => id).join(', ')})`,
      2,
    );
  const near = didYouMean(
    given,
    all.map(({ name }) => name),
  );
  throw new Complaint(`user ${userId} has no webhook ${plain(given)}: restante webhook list.${plain(near)}`);
}
