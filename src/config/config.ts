// (env, flags) -> one frozen Config; and the settings as text, secrets masked.
import { readFileSync } from 'node:fs';
import { hostText } from './database-url.ts';
import { SETTINGS, type Setting } from './settings.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Name = keyof typeof SETTINGS;
export type Config = { readonly [K in Name]: ReturnType<(typeof SETTINGS)[K]['read']> };

/** All that is wrong with the settings, told at once. The program ends with exit code 2. */
export class BadSettings extends Error {
  constructor(problems: readonly string[]) {
    super(
      `${problems.length === 1 ? 'One setting is' : `${problems.length} settings are`} wrong:\n${problems.map((p) => `  ${p}`).join('\n')}`,
    );
  }
}

/** Where a setting's text comes from: a flag, NAME, the file named by NAME_FILE, or its default. */
function textOf(one: Setting<unknown>, env: Env, flags: Env): string {
  const given = flags[one.name] ?? env[one.name];
  const file = env[`${one.name}_FILE`];
  if (given !== undefined && file !== undefined && flags[one.name] === undefined)
    throw new Error(`and ${one.name}_FILE are both set: keep one`);
  if (given !== undefined) return given;
  return file === undefined ? one.default : readFileSync(file, 'utf8').trim();
}

/** Reads all settings; throws BadSettings that names every wrong one. Flags are keyed by setting name and win. */
export function readConfig(env: Env, flags: Env = {}): Config {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [key, one] of Object.entries(SETTINGS) as [Name, Setting<unknown>][]) {
    try {
      // An empty text is "not set": the default, or nothing where there is none.
      const text = textOf(one, env, flags) || one.default;
      values[key] = text === '' ? (one.list ? [] : undefined) : one.read(text);
    } catch (error) {
      problems.push(`${one.name} ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new BadSettings(problems);
  const config = values as Config;
  return Object.freeze({ ...config, publicUrl: config.publicUrl || localUrl(config) });
}

/** Where this machine reaches the service. */
export const localUrl = ({ host, port }: Pick<Config, 'host' | 'port'>): string =>
  `http://${hostText({ host: host === '0.0.0.0' || host === '::' ? 'localhost' : host, port })}`;

/** Settings as text by name, secrets masked, for `restante config`. */
export function describeConfig(config: Config): { name: string; value: string; default: string; help: string }[] {
  return (Object.entries(SETTINGS) as [Name, Setting<unknown>][]).map(([key, one]) => ({
    name: one.name,
    value: one.secret ? hidden(config[key]) : written(config[key]),
    default: one.default,
    help: one.help,
  }));
}

/** As it may be set again. */
const written = (value: unknown): string => String((typeof value === 'boolean' ? Number(value) : value) ?? '');

const hidden = (value: unknown): string =>
  [value ?? '']
    .flat()
    .map((one) => (/^\w+:/.test(String(one)) ? masked(String(one)) : String(one) && '***'))
    .join(',');

/** `mysql://user:***@host/db`: a password never reaches a screen or a log. */
export const masked = (url: string): string => url.replace(/^(\w+:\/\/[^:@/]*):.*@/, '$1:***@');

/** PUBLIC_URL may carry a path, which a proxy takes off: links of a page need it. */
export const basePath = ({ publicUrl }: Pick<Config, 'publicUrl'>): string =>
  new URL(publicUrl).pathname.replace(/\/$/, '');
