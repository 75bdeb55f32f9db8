// The settings of a webhook as flags: read, put together as the API takes them, and checked by the same schemas.
import type { Command } from 'commander';
import type { TSchema } from 'typebox';
import { Errors } from 'typebox/schema';
import { Problem } from '../errors.ts';
import { faultWords } from '../faultwords.ts';
import { WebhookCreate, WebhookPatch } from '../schemawebhooks.ts';
import { Complaint } from './io.ts';
import { whole } from './options.ts';
import type { SecretFlags } from './secretinput.ts';

export interface SettingFlags extends SecretFlags {
  readonly name?: string;
  readonly preset?: string;
  readonly verify?: string;
  readonly dedupe?: string;
  readonly onReject?: string;
  readonly days?: string;
}

const WHY = `A secret has no flag of its own: whoever may list the processes of a machine sees their arguments, and shells keep them.
It comes from a file, from standard input (-), or from the environment variable RESTANTE_SECRET.`;

/** Of `add` and of `set`. */
export const withSettings = (command: Command): Command =>
  command
    .option('--preset <name>', 'the provider: restante presets lists them. With set, none takes it away')
    .option('--secret-file <file>', 'the secret to check with; - reads standard input. Replaces all secrets')
    .option('--token-file <file>', 'the verify token that you chose and typed in at Meta; - reads standard input')
    .option('--verify <json>', 'how to verify, beside the preset or with --preset generic: docs/providers.md')
    .option('--dedupe <json>', 'how an event is known again: {"from":"body:/id","window_seconds":86400}')
    .option('--on-reject <what>', 'what fails its check: keep it as a refusal, or drop it')
    .option('--days <n>', 'its contents go after so many days, 0 = never; none: RETENTION_DAYS counts')
    .addHelpText('after', WHY);

/** Of `set` alone. */
export const withChanges = (command: Command): Command =>
  withSettings(command)
    .option('--name <text>', 'another name')
    .option('--add-secret-file <file>', 'one more secret beside those that are there; - reads standard input')
    .option(
      '--secret-expires <time>',
      'with --add-secret-file: those that are there end then: 24h, 7d, or 2026-12-01T12:00:00Z',
    );

function json(flag: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What JSON.parse says repeats the text.
    throw new Complaint(`${flag} is not JSON. In a shell, put it between single quotes`, 2);
  }
}

/** The flags as members of a request; nothing of what was left out. */
export function settingsOf(
  { name, preset, verify, dedupe, onReject, days }: SettingFlags,
  token: string | undefined,
): Record<string, unknown> {
  const rules = verify === undefined ? undefined : json('--verify', verify);
  return {
    ...(name === undefined ? {} : { wh_name: name }),
    ...(preset === undefined ? {} : { preset: preset === 'none' ? null : preset }),
    ...(rules === undefined && token === undefined
      ? {}
      : { verify: token === undefined ? rules : { ...(rules as object | undefined), token } }),
    ...(dedupe === undefined ? {} : { dedupe: json('--dedupe', dedupe) }),
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
  for (const { instancePath, message, keyword, params } of errors) {
    if (keyword === 'additionalProperties') continue;
    const path = named(instancePath.slice(1).replaceAll('/', '.'));
    const { allowedValues } = params as { allowedValues?: readonly unknown[] };
    // null takes back what the API was given; a flag that is left out needs no such word.
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
