// How a verb becomes a command: settings as flags, examples and exit codes in --help.
import { Command } from 'commander';
import { type Config, readConfig } from '../config/config.ts';
import { onOff, SETTINGS } from '../config/settings.ts';
import { Complaint, type Io } from './io.ts';

type Key = keyof typeof SETTINGS;
const flagOf = (name: string) => `--${name.toLowerCase().replaceAll('_', '-')}`;

/** The settings of every verb that needs the database; `serve` has all. */
export const COMMON: readonly Key[] = ['databaseUrl', 'publicUrl'];
export const ALL = Object.keys(SETTINGS) as Key[];
/** Without a flag: every user who may list the processes of a machine sees their arguments. */
const NO_FLAG: readonly Key[] = ['secretsKey', 'metricsToken'];

/** The plain use, and one that shows what else there is. */
export type Examples = readonly [string, string, ...string[]];

interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly examples: Examples;
  readonly settings?: readonly Key[];
  /** What exit code 1 also means. */
  readonly fails?: string;
}

/** The end of each help. The exit codes are the same for every verb: scripts rely on them. */
export const closing = (examples: Examples, fails?: string): string => `
Examples:
${examples.map((line) => `  ${line}`).join('\n')}

Exit codes:
  0  done, or ended by SIGINT or SIGTERM
  1  it did not work${fails ? `, or ${fails}` : ''}
  2  asked wrongly: arguments, settings, credentials
`;

/** A command with the settings as flags, and below its help the secret settings and the examples. */
export function verb({ name, summary, examples, settings = COMMON, fails }: Verb): Command {
  const command = new Command(name).description(summary);
  const quiet: string[] = [];
  for (const key of settings) {
    const { name: setting, help, default: byDefault, read } = SETTINGS[key];
    if (NO_FLAG.includes(key)) quiet.push(`  ${setting}, or a file named by ${setting}_FILE: ${help}`);
    else
      command.option(
        `${flagOf(setting)} ${read === onOff ? '[1]' : '<value>'}`,
        `${help} (env ${setting}${byDefault ? `, default ${byDefault}` : ''})`,
      );
  }
  if (quiet.length > 0)
    command.addHelpText('after', `\nFrom the environment only, as other users can see arguments:\n${quiet.join('\n')}`);
  return command.addHelpText('after', closing(examples, fails));
}

/** A noun with verbs of its own: `webhook add`. */
export function noun(name: string, summary: string, examples: Examples, verbs: readonly Command[]): Command {
  const command = verb({ name, summary, examples, settings: [] });
  for (const one of verbs) command.addCommand(one);
  return command;
}

/** `help x y` is `x y --help`; for an unknown verb it is the error with its suggestion, not the help of all. */
export function helped(program: Command, argv: readonly string[]): readonly string[] {
  const [first, ...names] = argv;
  if (first !== 'help' || names.length === 0) return argv;
  let at = program;
  for (const [i, name] of names.entries()) {
    const next = at.commands.find((one) => one.name() === name);
    if (!next && at.commands.length > 0 && !name.startsWith('-')) return names.slice(0, i + 1);
    at = next ?? at;
  }
  return [...names, '--help'];
}

/** The settings: flags of this command over the environment. */
export function configOf(io: Io, options: object): Config {
  const flags: Record<string, string> = {};
  for (const { name } of Object.values(SETTINGS)) {
    const key = name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    const given = (options as Readonly<Record<string, unknown>>)[key];
    if (typeof given === 'string') flags[name] = given;
    if (given === true) flags[name] = '1';
  }
  return readConfig(io.env, flags);
}

// Values of flags ----------------------------------------------------------------------------------------------------

/** The most that an id of the classic tables can be. */
export const MOST_ID = 4_294_967_295;

export function whole(text: string, what: string, least: number, most: number): number {
  if (!/^\d{1,15}$/.test(text) || Number(text) < least || Number(text) > most)
    throw new Complaint(`${what} must be a whole number from ${least} to ${most}, not ${text}`, 2);
  return Number(text);
}

/** Undefined for a flag that was not given. */
export function choiceOf<T extends string>(text: string | undefined, what: string, words: readonly T[]): T | undefined {
  if (text !== undefined && !words.includes(text as T))
    throw new Complaint(`${what} must be ${words.join(' or ')}, not ${text}`, 2);
  return text as T | undefined;
}

const HOUR_MS = 3_600_000;
/** `24h` or `7d` in ms. */
export function spanMs(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,4})([hd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * (unit === 'd' ? 24 : 1) * HOUR_MS;
}

/** The webhooks that a text means: the one with this id, or else those with this name, without regard to case. */
export function webhooksNamed<T extends { readonly id: number; readonly name: string }>(
  all: readonly T[],
  text: string,
): readonly T[] {
  const byId = /^\d+$/.test(text) ? all.filter(({ id }) => id === Number(text)) : [];
  return byId.length > 0 ? byId : all.filter(({ name }) => name.toLowerCase() === text.toLowerCase());
}

export const STARTS = ['earliest', 'latest'] as const;

/** For every verb that speaks to a running service. Its credentials have no flag: other users can see arguments. */
export const withService = (command: Command): Command =>
  command
    .option('--url <url>', 'the service (env RESTANTE_URL, default http://127.0.0.1:4343)')
    .option('--auth-file <file>', 'a file with id:token (env RESTANTE_AUTH or RESTANTE_AUTH_FILE)');
