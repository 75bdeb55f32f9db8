// Secrets on their way in from the command line: out of a file, standard input or the environment, never an argument.
import { readFileSync } from 'node:fs';
import { isoTime } from '../http/consumers.ts';
import { isToken } from '../http/sealedtoken.ts';
import { PRESETS } from '../receive/presets.ts';
import { unlike } from '../receive/secretlooks.ts';
import type { SecretInput } from '../schemawebhooks.ts';
import type { SealedSecret } from '../store/webhooks.ts';
import { Complaint, type Io } from './io.ts';
import { spanMs } from './options.ts';

export interface SecretFlags {
  readonly secretFile?: string;
  readonly addSecretFile?: string;
  readonly secretExpires?: string;
  readonly tokenFile?: string;
}

/** Neither file names nor what is in them is ever repeated: somebody may have typed the secret itself. */
export async function readSecret(io: Io, flag: string, file: string): Promise<string> {
  if (file === '-' && io.tty) io.err('Paste the secret (it is not shown), then press Enter and Ctrl-D:\n');
  // A newline at its end, or a byte order mark before it, is of the file and not of the secret.
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

/** A wrong kind of key is taken, as providers change theirs, but not without a word. The secret itself is not repeated. */
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
