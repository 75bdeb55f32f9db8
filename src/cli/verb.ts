// How a verb becomes a command: settings as flags, examples in --help, an exit code.
import { Command } from 'commander';
import { type Config, readConfig, SETTINGS } from '../config.ts';
import type { Io } from './io.ts';

type Key = keyof typeof SETTINGS;
const flagOf = (name: string) => `--${name.toLowerCase().replaceAll('_', '-')}`;

/** What every verb that needs the database knows; `serve` knows all settings. */
export const COMMON: readonly Key[] = ['databaseUrl', 'publicUrl'];
export const ALL = Object.keys(SETTINGS) as Key[];
/** Without a flag: whoever may list the processes of a machine sees their arguments. */
const NO_FLAG: readonly Key[] = ['secretsKey', 'metricsToken'];

export interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly examples: readonly string[];
  readonly settings?: readonly Key[];
}

/** A command with the settings as flags, those that are secrets told apart, and the examples below its help. */
export function verb({ name, summary, examples, settings = COMMON }: Verb): Command {
  const command = new Command(name).description(summary);
  const quiet: string[] = [];
  for (const key of settings) {
    const { name: setting, help, default: byDefault } = SETTINGS[key];
    if (NO_FLAG.includes(key)) quiet.push(`  ${setting}, or a file named by ${setting}_FILE: ${help}`);
    else
      command.option(
        `${flagOf(setting)} <value>`,
        `${help} (env ${setting}${byDefault ? `, default ${byDefault}` : ''})`,
      );
  }
  if (quiet.length > 0)
    command.addHelpText('after', `\nFrom the environment alone, as arguments are seen by others:\n${quiet.join('\n')}`);
  return command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}\n`);
}

/** The settings: flags of this command over the environment. */
export function configOf(io: Io, options: Readonly<Record<string, unknown>>): Config {
  const flags: Record<string, string> = {};
  for (const { name } of Object.values(SETTINGS)) {
    const key = name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (typeof options[key] === 'string') flags[name] = options[key];
  }
  return readConfig(io.env, flags);
}
