// restante send: a signed sample of any preset, sent to a webhook or shown as a curl command.
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import type { VerifyInput } from '../../schema/webhooks.ts';
import type { Store } from '../../store/open.ts';
import { findWebhook, type WebhookRow } from '../../store/webhooks.ts';
import { verdictOn } from '../../verify/judge.ts';
import type { Secret } from '../../verify/request.ts';
import { compileRules, RuleError, type Rules } from '../../verify/rules.ts';
import {
  isCertified,
  makeSample,
  needsKey,
  PROVIDER_SIGNS,
  SampleFault,
  type SampleInput,
  type SignedSample,
  signingSecret,
} from '../../verify/sample.ts';
import { atOnce } from '../../verify/slices.ts';
import { openSealer } from '../../webhooks/sealer.ts';
import { rulesOf, storedTarget } from '../../webhooks/target.ts';
import { webhookClassic } from '../../webhooks/webhooks.ts';
import { Complaint, type Io, plain } from '../io.ts';
import { userIdOf, withExtended } from '../open.ts';
import { COMMON, configOf, verb, whole } from '../verb.ts';
import { curlOfSample, presetNamed } from './presets.ts';
import { jsonFlag, readSecret, webhookIdOf } from './webhook-flags.ts';

interface Options {
  readonly to?: string;
  readonly preset?: string;
  readonly verify?: string;
  readonly type?: string;
  readonly id?: string;
  readonly body?: string;
  readonly count: string;
  readonly secretFile?: string;
  readonly key?: string;
  readonly user?: string;
  readonly print?: boolean;
  readonly json?: boolean;
}

/** Where it goes, and how it is signed there. */
interface Aim {
  readonly url: string;
  readonly rules: Rules;
  /** Those that are stored; none for a URL. */
  readonly secrets: readonly Secret[];
  readonly wh_id?: number;
}

const WHY = `
The secret of a webhook of this database is read from it. For a URL it comes from --secret-file or from the environment
variable RESTANTE_SECRET: it has no flag of its own, because every user who may list processes sees their arguments.
`;

export const sendCommand = (io: Io): Command =>
  verb({
    name: 'send',
    summary: 'Send a signed sample of a provider to a webhook, to try it out before the provider sends.',
    examples: [
      'restante send                                       to your only webhook, by its preset',
      'restante send --to Payments --type invoice.paid --id evt_1',
      'restante send --to https://hooks.example.org/in/KEY --preset stripe --secret-file secret',
      'restante send --to 3 --key private.pem              where the secret is a public key',
      'restante send --type invoice.paid --print           a curl command instead',
    ],
    settings: [...COMMON, 'secretsKey'],
    fails: 'the answer was no 2xx',
  })
    .option('--to <webhook>', 'the id or the name of a webhook, or a URL; not needed while there is one webhook')
    .option('--preset <name>', 'the provider: restante presets lists them. A webhook of this database has its own')
    .option('--verify <json>', 'rules beside the preset, or of a provider that has none: docs/providers.md')
    .option('--type <type>', 'the type of the event, as the provider writes it')
    .option('--id <id>', 'the id of the event; with --count all have it, as when a provider tries again')
    .option('--body <file>', 'a body of your own; - reads standard input')
    .option('--count <n>', 'how many, one after the other', '1')
    .option('--secret-file <file>', 'the secret to sign with; - reads standard input')
    .option('--key <file>', 'the private key to sign with, in PEM, where the secret is a public key')
    .option('--user <id>', 'the owner of the webhook; not needed while there is one user')
    .option('--print', 'print a curl command and send nothing. A secret is never printed')
    .option('--json', 'one line of JSON for each')
    .addHelpText('after', WHY)
    .action(async (options: Options) => {
      const count = whole(options.count, '--count', 1, 10_000);
      if (options.secretFile === '-' && options.body === '-')
        throw new Complaint('standard input can be either the secret or the body: put one of them into a file', 2);
      for (const flag of ['type', 'id'] as const)
        if (options[flag] === '') throw new Complaint(`--${flag} must not be empty`, 2);
      const own = { verify: options.verify === undefined ? undefined : jsonFlag('--verify', options.verify) };
      const aim = await aimOf(configOf(io, options), options, own.verify as VerifyInput | undefined);
      const signing = await signingOf(io, options, aim);
      const body = options.body === undefined ? undefined : await readBody(io, options.body);
      const { type, id } = options;
      const made = (): SignedSample => sampleFor({ ...signing, rules: aim.rules, url: aim.url, type, id, body }, aim);
      if (options.print) return printCurl(io, aim, made());
      await sendAll(io, count, made, aim, options.json === true);
    });

// Where to, and with what --------------------------------------------------------------------------------------------

function compiled(preset: string | undefined, verify: VerifyInput | undefined): Rules {
  if (preset === undefined && verify === undefined)
    throw new Complaint('say whose sample it is: --preset NAME (restante presets lists them)', 2);
  if (preset !== undefined) presetNamed(preset);
  try {
    return compileRules({ preset, verify });
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    throw new Complaint(
      error.errors.map(({ path, message }) => `${path.replace('body.', '')} ${message}`).join('; '),
      2,
    );
  }
}

async function aimOf(config: Config, options: Options, verify: VerifyInput | undefined): Promise<Aim> {
  const { to, preset } = options;
  if (preset !== undefined) presetNamed(preset);
  if (to?.includes('://')) {
    if (!/^https?:\/\//i.test(to) || !URL.canParse(to) || to.includes('#') || new URL(to).username)
      throw new Complaint(
        `--to must be an http:// or https:// URL without a fragment or a password, not ${plain(to)}`,
        2,
      );
    return { url: to, rules: compiled(preset, verify), secrets: [] };
  }
  return withExtended(config, async (store) => {
    const userId = await userIdOf(store, options.user);
    const id = await webhookIdOf(store, userId, to, { flag: '--to ID', ours: true });
    const row = (await findWebhook(store, userId, id)) as WebhookRow;
    const { wh_url: url } = webhookClassic(row, config.publicUrl);
    const { rules, secrets } = await storedRules(store, config, row);
    const { wh_id } = row;
    if (rules && preset === undefined && verify === undefined) return { url, rules, secrets, wh_id };
    return { url, rules: compiled(preset, verify), secrets, wh_id };
  });
}

/** The rules and the secrets as the receiver has them. */
async function storedRules(
  store: Store,
  config: Config,
  row: WebhookRow,
): Promise<Pick<Aim, 'secrets'> & { rules: Rules | undefined }> {
  const input = row.settings ?? {};
  if (row.secrets.length === 0) return { rules: rulesOf(input), secrets: [] };
  const sealer = await openSealer(store, config.secretsKey, config.databaseUrl);
  const { rules, secrets } = storedTarget(sealer, row, input);
  if (!secrets)
    throw new Complaint(`the secrets of webhook ${row.wh_id} cannot be decrypted: is SECRETS_KEY the right one?`);
  return { rules, secrets };
}

async function signingOf(
  io: Io,
  options: Options,
  { rules, secrets, wh_id }: Aim,
): Promise<Pick<SampleInput, 'secret' | 'key'>> {
  const set =
    wh_id === undefined ? 'set the secret to the public key' : `restante webhook set ${wh_id} --secret-file public.pem`;
  // A secret that is sent itself must not be printed.
  if (!rules.check || (options.print && rules.check.scheme === 'shared-secret')) return {};
  if (isCertified(rules) && !options.print) throw new Complaint(PROVIDER_SIGNS, 2);
  if (needsKey(rules)) {
    if (options.key !== undefined) return { key: readPrivateKey(options.key) };
    throw new Complaint(
      `the secret here is a public key, and only the private key that belongs to it can sign. To try it out, make a pair of your own:
  openssl genpkey ${PAIR[rules.check.scheme === 'shared-secret' ? '' : rules.check.algorithm] ?? PAIR.rsa} -out private.pem
  openssl pkey -in private.pem -pubout -out public.pem
  ${set}
  restante send --key private.pem${options.to === undefined ? '' : ` --to ${plain(options.to)}`}`,
      2,
    );
  }
  if (options.key !== undefined)
    throw new Complaint('--key is for providers that sign with a private key: here it is --secret-file', 2);
  if (options.secretFile !== undefined) return { secret: await readSecret(io, '--secret-file', options.secretFile) };
  const secret = signingSecret(secrets, Date.now()) ?? (io.env.RESTANTE_SECRET?.trim() || undefined);
  if (secret !== undefined) return { secret };
  throw new Complaint(
    wh_id === undefined
      ? 'there is no secret to sign with: give it with --secret-file FILE (- reads standard input) or RESTANTE_SECRET'
      : `webhook ${wh_id} has no secret ${secrets.length > 0 ? 'that has not expired' : 'yet'}: restante webhook set ${wh_id} --secret-file -`,
    2,
  );
}

const PAIR: Readonly<Record<string, string>> = {
  ed25519: '-algorithm ed25519',
  'ecdsa-p256': '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
  es256: '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
  rsa: '-algorithm RSA -pkeyopt rsa_keygen_bits:2048',
};

function readPrivateKey(file: string): KeyObject {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Complaint(`--key: that file cannot be read (${(error as NodeJS.ErrnoException).code})`, 2);
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new Complaint('--key: the file has no private key in PEM without a passphrase', 2);
  }
}

async function readBody(io: Io, file: string): Promise<Buffer> {
  if (file === '-') return Buffer.from(await io.input());
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Complaint(`--body: ${plain(file)} cannot be read (${(error as NodeJS.ErrnoException).code})`, 2);
  }
}

function sampleFor(input: Omit<SampleInput, 'nowMs' | 'nonce'>, { rules, secrets, wh_id }: Aim): SignedSample {
  const nowMs = Date.now();
  const blank = rules.check !== undefined && input.secret === undefined && input.key === undefined;
  try {
    const sample = makeSample({ ...input, blank, nowMs, nonce: randomBytes(12).toString('hex') });
    const { method, url: publicUrl, headers, body } = sample;
    if (input.key && secrets.length > 0) {
      const verdict = atOnce(verdictOn(rules, secrets, { method, publicUrl, headers, body, receivedMs: nowMs }));
      if (verdict.kind !== 'accepted')
        throw new Complaint(`--key does not belong to the public key that is the secret of webhook ${wh_id}`, 2);
    }
    return sample;
  } catch (error) {
    if (!(error instanceof SampleFault)) throw error;
    throw new Complaint(`no sample can be made: ${error.message}`, 2);
  }
}

// As a command -------------------------------------------------------------------------------------------------------

function printCurl(io: Io, { rules }: Aim, sample: SignedSample): void {
  const { check } = rules;
  const shared = check?.scheme === 'shared-secret';
  const { event_type, event_id } = sample;
  io.out(`${curlOfSample(sample)}\n`);
  io.err(
    `${[event_type, event_id]
      .filter((text) => text !== null)
      .map((text) => plain(`${text}`))
      .join(' ')}\n${
      shared
        ? 'Write the secret where SECRET stands (user:password in base64, where it is Basic).\n'
        : check && 'timestamp' in check && check.toleranceMs > 0
          ? `Send it within ${check.toleranceMs / 1000} s: its time is signed.\n`
          : ''
    }`,
  );
}

// Sent ---------------------------------------------------------------------------------------------------------------

interface Answered {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly ms: number;
}

const TIMEOUT_MS = 30_000;
const MOST_ANSWER = 64 * 1024;

/** The URL goes out as it was signed, byte by byte: a URL object would write some of them otherwise. */
function exchange({ method, url, headers, body }: SignedSample): Promise<Answered> {
  const { protocol, hostname, port } = new URL(url);
  const path = url.replace(/^https?:\/\/[^/?#]*/i, '');
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? overHttps : overHttp)(
      {
        hostname: hostname.replace(/^\[|\]$/g, ''),
        port,
        method,
        path: path.startsWith('/') ? path : `/${path}`,
        headers: [...headers, 'Content-Length', String(body.length), 'Connection', 'close'],
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (more: string) => {
          text = (text + more).slice(0, MOST_ANSWER);
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            body: text,
            ms: Math.round(performance.now() - began),
          }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

interface Failed {
  readonly answered: Answered;
  readonly sample: SignedSample;
}

async function sendAll(io: Io, count: number, made: () => SignedSample, aim: Aim, json: boolean): Promise<void> {
  let good = 0;
  let last: SignedSample | undefined;
  let failed: Failed | undefined;
  for (let i = 0; i < count; i++) {
    const sample = made();
    const answered = await exchange(sample).catch((error: Error) => {
      const late = error.name === 'TimeoutError' || error.name === 'AbortError';
      const why = late
        ? `no answer within ${TIMEOUT_MS / 1000} s`
        : error.message || (error as NodeJS.ErrnoException).code;
      throw new Complaint(
        `${withoutQuery(sample.url)} cannot be reached (${why}). Is the service running there, and is PUBLIC_URL right?`,
      );
    });
    const ok = answered.status >= 200 && answered.status < 300;
    if (ok) {
      good++;
      last = sample;
    } else failed ??= { answered, sample };
    tellSent(io, aim, sample, answered, json);
  }
  if (!json && last) tellNext(io, aim, last);
  if (count > 1 && !json) io.out(`\n${good} of ${count} were answered 2xx.\n`);
  if (failed) throw new Complaint(`the answer was ${failed.answered.status}${hintFor(failed, aim)}`);
}

// It may hold the secret.
const withoutQuery = (url: string): string => url.split('?', 1)[0] as string;

function tellSent(
  io: Io,
  { rules }: Aim,
  sample: SignedSample,
  { status, body, type, ms }: Answered,
  json: boolean,
): void {
  const { method, url, event_type, event_id } = sample;
  const said = wordsOf(type, body);
  if (json) {
    io.out(`${JSON.stringify({ url: withoutQuery(url), event_type, event_id, status, answer: said, ms })}\n`);
    return;
  }
  const by = rules.preset ? rules.preset.title : 'your rules';
  const rows = {
    sent: `${method} ${withoutQuery(url)}, ${sample.body.length} bytes, ${rules.check ? `signed as ${by} does` : `as ${by} sends it: nothing is signed`}`,
    ...(event_type === null ? {} : { type: event_type }),
    ...(event_id === null ? {} : { id: event_id }),
    answer: `${status}${said === '' ? ', empty' : `: ${said}`} (${ms} ms)`,
  };
  for (const [name, value] of Object.entries(rows)) io.out(`${name.padEnd(7)} ${plain(value)}\n`);
}

/** The sentence of a problem, else the text. */
function wordsOf(type: string, body: string): string {
  if (type.startsWith('application/problem+json'))
    try {
      const { detail } = JSON.parse(body) as { detail?: unknown };
      if (typeof detail === 'string') return detail;
    } catch {}
  return body.trim().slice(0, 500);
}

const isOurs = (url: string): boolean => /^https?:\/\/[^?#]*\/in\/[^/?#]+/.test(url);

function tellNext(io: Io, { url, wh_id }: Aim, { event_id }: SignedSample): void {
  if (!isOurs(url)) return;
  const base = url.slice(0, url.indexOf('/in/'));
  const which = `whid=${wh_id ?? 'all'}`;
  const query = event_id === null ? 'order=desc&limit=1' : `event_id=${encodeURIComponent(event_id)}`;
  io.out(
    `\nFetch it, with the id and the token of the user:\n\n  curl -u ID:TOKEN '${base}/whcontent?${which}&${query}'\n`,
  );
}

function hintFor({ answered: { status }, sample }: Failed, { url }: Aim): string {
  if (!isOurs(url)) return '';
  if (status === 401)
    return `. What would have verified: restante why ${plain(sample.event_id ?? 'ID')}, or GET /refusals`;
  return status === 404 ? ': the service there has no such webhook (restante webhook list)' : '';
}
