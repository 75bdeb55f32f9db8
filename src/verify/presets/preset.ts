// A preset: what is known of one provider, as a row of data.
import type { Answer, HandshakeInput, VerifyInput } from '../../schema/webhooks.ts';

/** Sources whose texts are joined by `/`: all of them must be in the request. */
export type Joined = string | readonly string[];

export interface Preset {
  readonly name: string;
  readonly title: string;
  readonly verify: VerifyInput;
  readonly handshake?: readonly HandshakeInput[];
  /** Its key stands in a certificate, which the request names by a URL: the only URLs of requests that are ever fetched. */
  readonly certificate?: {
    readonly from: string;
    /** The whole URL, host and path: what does not match is not fetched. */
    readonly url: RegExp;
    /** Of the subject of the certificate. */
    readonly name: RegExp;
    readonly algorithms?: { readonly from: string; readonly by: Readonly<Record<string, 'rsa-sha1' | 'rsa-sha256'>> };
  };
  /** A link that its owner has to open after a handshake. It is shown, and never fetched. */
  readonly link?: { readonly from: string; readonly url: RegExp; readonly says: string };
  /** Where the id of the event stands: the first of these that the request has. */
  readonly dedupe?: readonly Joined[];
  /** Where the type of the event stands: the first of these that the request has. */
  readonly event_type?: readonly Joined[];
  /** The answer that the provider wants, where it is not an empty 200. */
  readonly response?: Answer;
  /** What the provider calls the secret, and where it stands; undefined: no secret is needed. */
  readonly secret?: string;
  /** The exact steps to paste the URL at the provider; `{url}` stands for the URL of the webhook. */
  readonly steps: readonly string[];
  /** Of a request, what the other members cannot tell. */
  readonly sample?: PresetSample;
  /** How long the provider waits for an answer. */
  readonly waits: string;
  readonly retries: string;
  /** The page these facts are from. */
  readonly source: string;
  /** Against what this row is tested. */
  readonly checked: string;
}

/** A list or an object. */
export type SampleBody = Readonly<Record<string, unknown>> | readonly unknown[];

interface PresetSample {
  /** A usual type, as it is told once it was read. */
  readonly type?: string;
  /** `{nonce}` in a text stands for something that is different each time. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  /** The text of a body that is neither JSON nor a form, or what stands in the JSON beside the id and the type. */
  readonly body?: SampleBody | string;
  readonly form?: Readonly<Record<string, string>>;
  /** The form is multipart/form-data. */
  readonly multipart?: boolean;
}

/** HMAC-SHA256 in hex, written `sha256=…`, as GitHub was the first to do. */
export const hubSignature = (header: string): VerifyInput => ({
  scheme: 'hmac',
  signature: { from: `header:${header}`, field_separator: '=', field: 'sha256' },
});
/** A request that nobody signs, whose challenge is sent back as it came. */
export const echo = (method: string, challenge_from: string): HandshakeInput => ({
  method,
  challenge_from,
  signed: false,
  answer: { body: '{challenge}' },
});

/** True of a request without a body, as a provider sends it to see whether a URL answers: the hash of nothing. */
export const NO_BODY = {
  from: 'sha256',
  equals: 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
} as const;

/** Said where the pages of a provider were searched in vain. */
export const NOT_FOUND = 'not found in its documentation';
/** How a row is checked where its provider has no library to check it against. */
export const SECOND_IMPLEMENTATION = 'a second implementation with WebCrypto';

// How the secrets of providers look, where that is known: the usual mistake is another kind of key from the same page.

interface Look {
  readonly pattern: RegExp;
  readonly words: string;
  /** What such a secret begins with, and what is left out when it is copied carelessly. */
  readonly prefix?: string;
}

const begins = (prefix: string): Look => ({
  pattern: new RegExp(`^${prefix}`),
  words: `begins with ${prefix}`,
  prefix,
});
const STANDARD_SECRET: Look = { pattern: /^(v1,)?whsec_/, words: 'begins with whsec_' };
const HEX32: Look = { pattern: /^[0-9a-f]{32}$/i, words: 'has 32 hexadecimal digits' };
const USER_PASSWORD: Look = { pattern: /:/, words: 'is user:password, with a colon between' };
// By the name of the preset. These are no members of a preset: a look is a hint, and refuses nothing.
const LOOKS: ReadonlyMap<string, Look> = new Map<string, Look>([
  ['stripe', begins('whsec_')],
  ['standard-webhooks', STANDARD_SECRET],
  ['svix', STANDARD_SECRET],
  ['gitlab-signing', STANDARD_SECRET],
  ['supabase', STANDARD_SECRET],
  ['clerk', STANDARD_SECRET],
  ['resend', STANDARD_SECRET],
  ['openai', STANDARD_SECRET],
  ['standard-webhooks-v1a', { pattern: /^whpk_/, words: 'begins with whpk_' }],
  ['telegram', { pattern: /^[A-Za-z0-9_-]{1,256}$/, words: 'has up to 256 letters, digits, _ and -' }],
  ['azure-devops', USER_PASSWORD],
  ['chargebee', USER_PASSWORD],
  ['postmark', USER_PASSWORD],
  ['adyen', { pattern: /^([0-9a-f]{2})+$/i, words: 'is hexadecimal' }],
  ['paystack', begins('sk_')],
  ['twilio', HEX32],
  ['slack', HEX32],
  ['meta', HEX32],
  [
    'shopify',
    {
      pattern: /^(shpss_)?[0-9a-f]{32,64}$/i,
      words: 'has 32 to 64 hexadecimal digits, with or without shpss_ in front',
      prefix: 'shpss_',
    },
  ],
  ['paddle', begins('pdl_ntfset_')],
  ['linear', begins('lin_wh_')],
  [
    'sns',
    { pattern: /^(arn:aws[a-z-]*:sns:|-----BEGIN CERTIFICATE-----)/, words: 'is the ARN of the topic: arn:aws:sns:…' },
  ],
  ['github', { pattern: /^(?!gh[pousr]_|github_pat_)/, words: 'is a text that you chose, no access token' }],
]);

/** How the secrets of this preset look, where that is known. */
export const lookOf = (preset: string | null | undefined): Look | undefined => LOOKS.get(preset ?? '');

/** How a secret of this preset looks, when this text does not look so. */
export function unlike(preset: string | null | undefined, secret: string): string | undefined {
  const look = lookOf(preset);
  return look && !look.pattern.test(secret) ? look.words : undefined;
}
