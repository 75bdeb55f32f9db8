// Webhooks and their settings on the wire: what may be set, what is told.
import { type Static, type TSchema, Type } from 'typebox';
import {
  idInput,
  METHOD,
  memberPatch,
  mergePatch,
  NETWORK,
  nullable,
  ORIGIN,
  oneOf,
  strict,
  texts,
  undescribed,
  whidInput,
  wideInteger,
} from './common.ts';

// Verification, and how the same event is known again ----------------------------------------------------------------

const SOURCE = '^(?:header:.+|query:.+|form:.+|body:(?:/.*)?|sha256)$';
const PLACES =
  '`header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there';
const Source = (description: string) => Type.String({ maxLength: 500, pattern: SOURCE, description });
const text = (maxLength: number, description: string) => Type.String({ maxLength, description });

export const HandshakeInput = Type.Object(
  {
    method: Type.Optional(Type.String({ pattern: '^[A-Z]{1,12}$', description: 'Only requests of this method.' })),
    when: Type.Optional(
      Type.Array(
        Type.Object(
          {
            from: Source(`${PLACES}.`),
            equals: Type.Optional(text(255, 'What must stand there. Left out: anything.')),
            absent: Type.Optional(Type.Boolean({ description: 'true: nothing must stand there.' })),
          },
          strict,
        ),
        { maxItems: 10, description: 'A request is a handshake when all of these hold.' },
      ),
    ),
    token_from: Type.Optional(Source('Where `verify.token` must stand.')),
    challenge_from: Type.Optional(Source('Where the text stands that has to be sent back.')),
    signed: Type.Optional(
      Type.Boolean({
        description:
          'Check the signature before it is answered. Default true. With `{hmac}` it may be false for a GET with its challenge in the query: only a word of at most 128 letters and digits is answered then, and never accepted as an event.',
      }),
    ),
    answer: Type.Object(
      {
        status: Type.Optional(Type.Integer({ minimum: 200, maximum: 299, description: 'Default 200.' })),
        content_type: Type.Optional(oneOf(['text/plain', 'application/json'], 'Default text/plain.')),
        headers: Type.Optional(
          texts({
            maxLength: 255,
            maxProperties: 5,
            examples: [{ 'X-Hook-Secret': '{challenge}' }],
            description:
              'Headers of the answer, by name: `X-…` or `WebHook-…`, but none that a server or a browser obeys, such as X-Accel-Redirect. Each value is plain ASCII with at most one placeholder, as in the body.',
          }),
        ),
        body: text(
          4096,
          '`{challenge}` stands for the challenge, `{hmac}` and `{hmac_base64}` for its HMAC under the secret.',
        ),
      },
      strict,
    ),
  },
  strict,
);
export type HandshakeInput = Static<typeof HandshakeInput>;

export const Claims = texts({
  maxLength: 255,
  maxProperties: 10,
  propertyNames: { maxLength: 64 },
  description:
    'What other claims must be: `{"email":"push@project.iam.gserviceaccount.com"}`. A true or false is written as a text. An empty text is yet to be said: until then requests are kept and not accepted.',
});
const verify = {
  scheme: oneOf(
    ['hmac', 'hash', 'asymmetric', 'jwt', 'shared-secret', 'none'],
    'hmac: a keyed digest; hash: a plain digest over a text that holds the secret; asymmetric: a signature and a public key; jwt: a JSON Web Token; shared-secret: the secret itself is sent; none: nothing is verified.',
  ),
  algorithm: oneOf(
    [
      ...(['sha256', 'sha1', 'sha512', 'ed25519', 'ecdsa-p256', 'rsa-sha256', 'rsa-sha1'] as const),
      ...(['hs256', 'hs384', 'hs512', 'rs256', 'es256', 'ps256'] as const),
    ],
    'Default sha256; with `asymmetric`, and with `jwt` (hs256 to ps256), there is no default. A token that names another algorithm is refused.',
  ),
  encoding: oneOf(['hex', 'base64', 'base64url'], 'How the signature is written. Default hex.'),
  key_encoding: oneOf(
    ['utf8', 'base64', 'hex'],
    'How the secret is written. Default utf8: its characters are the key.',
  ),
  key_prefix: text(32, 'What to cut off the secret first, if it is there: `whsec_`.'),
  key_hash: oneOf(
    ['sha1', 'sha256'],
    'The key is this hash of the secret, as at Braintree. Default: the key is the secret.',
  ),
  signature: Type.Partial(
    Type.Object({
      from: Source(`Where the signature stands: ${PLACES}.`),
      headers: oneOf(
        ['first', 'all'],
        'Of several headers in `from`: first: the first that the request has, and `timestamp` and `id` of the same family; all: every one of the first 20, any may match. Default first.',
      ),
      item_separator: text(4, 'What stands between several signatures or fields: `,` for `t=1,v1=ab`.'),
      field_separator: text(4, 'What stands between the name of a field and its value: `=` for `v1=ab`.'),
      field: text(
        32,
        'The field with the signature: `v1`, `sha256`. Several may be there, any may match. `*`: a field of any name, as at Braintree.',
      ),
    }),
    strict,
  ),
  jwt: Type.Partial(
    Type.Object({
      issuer: text(255, 'What the claim `iss` must be. Default: anything.'),
      audience: text(255, 'What the claim `aud` must be, or have in its list. Default: anything.'),
      body_claim: text(
        64,
        'The claim that must be the SHA-256 of the body, in hex or base64: `request_body_sha256`. Without it the token says nothing of the body: then `covers_body` must be false.',
      ),
      time_claim: text(
        64,
        'The claim with the time of the signature, in seconds: `iat`. It may be off by `tolerance_seconds` in both directions. Default: none, and only `exp` and `nbf` count.',
      ),
      claims: Claims,
    }),
    {
      ...strict,
      description:
        'With the scheme jwt. The token stands in `signature.from` (default `header:Authorization`), with or without `Bearer `. The secret is a shared key, a public key, or a set of keys as JSON (JWKS). `exp` and `nbf` may be off by `tolerance_seconds`.',
    },
  ),
  timestamp: Type.Partial(
    Type.Object({
      from: Type.String({
        maxLength: 255,
        pattern: '^(?:field:.+|header:.+|query:.+|form:.+|body:/.*)$',
        description: `Where the time stands: ${PLACES}, or \`field:t\` beside the signature.`,
      }),
      unit: oneOf(['s', 'ms'], 'Of a number. Default s.'),
      format: oneOf(['unix', 'iso8601', 'http-date'], 'Default unix.'),
    }),
    strict,
  ),
  tolerance_seconds: Type.Integer({
    minimum: 0,
    maximum: 86_400 * 30,
    description: 'How far the time may lie in the past or in the future. 0: the time is not checked. Default 300.',
  }),
  signed_string: text(
    1024,
    'What is signed: text with `{body}`, `{crc32}` (of the body, in decimal), `{timestamp}`, `{id}`, `{method}`, `{url}`, `{params}`, `{header:x}`, `{json:/pointer}`, `{form:x}`, `{query:x}`, and with the scheme hash (or the preset paypal) `{secret}`. `{json:/a?}` is empty where nothing stands, `{json:/a?x}` is x. `{[id:]query:id[;]?}` is `id:`, the value and `;`, or nothing; `{lower:query:id}` is in lower case. Default `{body}`.',
  ),
  body: oneOf(
    ['raw', 'decoded'],
    'raw: `{body}` is the bytes as they came; decoded: without their Content-Encoding (gzip, deflate, br), up to 64 MiB. What is stored is always as it came. Default raw.',
  ),
  covers_body: Type.Boolean({ description: 'false: the signature does not cover the body, and you know it.' }),
  id: Source(`Where \`{id}\` stands: ${PLACES}.`),
  url: oneOf(
    ['as-is', 'hubspot', 'twilio'],
    'as-is: `{url}` is PUBLIC_URL and the target as received. hubspot: with twelve of its percent codes decoded, and as received. twilio: with and without a port, raw and normalised.',
  ),
  secret_from: Type.String({
    maxLength: 255,
    pattern: '^(?:bearer|basic|header:.+|query:.+|form:.+|body:/.*)$',
    description: `With shared-secret, and with the preset sns: ${PLACES}, \`bearer\`, or \`basic\` (the secret is \`user:password\`). In a body path \`*\` means each element.`,
  }),
  token: text(255, 'The verify token you typed in at the provider (Meta): only a handshake that knows it is answered.'),
  handshake: Type.Array(HandshakeInput, {
    maxItems: 5,
    description: 'Requests that are answered and not stored as a content.',
  }),
  event_type: Source(`Where the type of the event stands: ${PLACES}.`),
};
/** What may be set; beside a preset each member replaces that of the preset. */
export const VerifyInput = Type.Partial(Type.Object(verify), {
  ...strict,
  description: 'How requests are verified. Beside a preset: what differs from it.',
});
export type VerifyInput = Static<typeof VerifyInput>;

const OneSource = Type.String({ title: 'One', pattern: SOURCE, maxLength: 255 });
export const DedupeFrom = Type.Union(
  [OneSource, Type.Array(OneSource, { title: 'Several', minItems: 1, maxItems: 5 })],
  {
    examples: ['header:x-id', 'body:/id', 'sha256'],
    description: `Where the id of the event stands: ${PLACES}, or \`sha256\` of the body. Several are joined with \`/\`. Default: what the preset says.`,
  },
);
export const DedupeInput = Type.Object(
  {
    from: Type.Optional(DedupeFrom),
    window_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86_400 * 365,
        description: 'How long an id is remembered.',
      }),
    ),
  },
  { ...strict, description: 'How the same event is known again when it is sent twice. It is flagged, never dropped.' },
);
export type DedupeInput = Static<typeof DedupeInput>;

// Settings of a webhook ---------------------------------------------------------------------------------------------

export const ResponseSettings = Type.Object(
  {
    status: Type.Integer({ minimum: 200, maximum: 299, description: 'Default 200.' }),
    content_type: oneOf(['text/plain', 'text/xml', 'application/xml', 'application/json'], 'Default text/plain.'),
    body: Type.String({
      maxLength: 65_536,
      description: 'Default empty: some providers show a text to their end user.',
    }),
  },
  strict,
);
const settings = {
  response: Type.Partial(ResponseSettings, {
    ...strict,
    description: 'The answer to a sender once its request is committed.',
  }),
  max_body_bytes: wideInteger({
    minimum: 0,
    description: 'Larger bodies are refused with 413. Default: MAX_BODY_BYTES.',
  }),
  allow_methods: Type.Array(Type.String({ pattern: METHOD }), {
    minItems: 1,
    maxItems: 40,
    description: 'Other methods are refused with 405. Default: every method.',
  }),
  allow_networks: Type.Array(Type.String({ pattern: NETWORK }), {
    minItems: 1,
    maxItems: 100,
    description: 'Senders outside of these addresses and CIDR networks are refused with 403. Default: all senders.',
  }),
  allow_origins: Type.Array(Type.String({ maxLength: 255, pattern: ORIGIN, examples: ['https://app.example.org'] }), {
    maxItems: 20,
    description:
      'Web sites whose pages may send with a browser and read the answer; `*`: all. A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 204 and never stored. Default: none.',
  }),
  preset: Type.String({
    maxLength: 40,
    examples: ['stripe'],
    description:
      'How this provider signs, shakes hands and names its events: `restante presets` lists them; `generic` for others. Default: nothing is checked.',
  }),
  verify: VerifyInput,
  dedupe: DedupeInput,
  on_reject: oneOf(
    ['keep', 'drop'],
    'keep: a request that fails its check is kept as a refusal, which can be released. Default keep.',
  ),
  retention_days: Type.Integer({
    minimum: 0,
    maximum: 36_500,
    description: 'Age in days at which contents are removed; 0 = never. Default: RETENTION_DAYS.',
  }),
  enabled: Type.Boolean({
    description: 'false: senders are answered 503 with Retry-After and try again. Default true.',
  }),
};
/** What may be set; what is left out has its default. This is what the database keeps. */
export const SettingsInput = Type.Partial(Type.Object(settings), strict);
export type SettingsInput = Static<typeof SettingsInput>;

/** With every default filled in, as they are told. */
export type Settings = Pick<WebhookDetail, keyof typeof settings>;

/** The answer that a sender gets. */
export interface Answer {
  readonly status: number;
  readonly content_type: string;
  readonly body: string;
  /** Name and value in turn; only that to a handshake has any. */
  readonly headers?: readonly string[];
}
/** Settings with every default filled in; a preset has an answer of its own. */
export const resolveSettings = (input: SettingsInput, answer?: Answer): Settings => ({
  preset: input.preset ?? null,
  verify: input.verify ?? null,
  dedupe: input.dedupe ?? null,
  on_reject: input.on_reject ?? 'keep',
  response: {
    status: 200,
    content_type: 'text/plain',
    body: '',
    ...(answer as SettingsInput['response']),
    ...input.response,
  },
  max_body_bytes: input.max_body_bytes ?? null,
  allow_methods: input.allow_methods ?? null,
  allow_networks: input.allow_networks ?? null,
  allow_origins: input.allow_origins ?? null,
  retention_days: input.retention_days ?? null,
  enabled: input.enabled ?? true,
});

// Secrets -----------------------------------------------------------------------------------------------------------

// A set of public keys as JSON has some 600 characters for each.
const SecretText = Type.String({ title: 'The secret itself', minLength: 1, maxLength: 16_384 });
const Expiry = Type.Optional(
  nullable(Type.String({ format: 'date-time', description: 'It counts until then. Default: for ever.' })),
);
export const NewSecret = Type.Object({ value: SecretText, expires_at: Expiry }, strict);
export const KeptSecret = Type.Object({ id: Type.String({ maxLength: 40 }), expires_at: Expiry }, strict);
const SECRETS = 'Any of them may have signed. A public key, a token of your choice or a shared key is a secret too.';
const secretsOf = <T extends TSchema>(one: T) => Type.Array(one, { maxItems: 20, description: SECRETS });
export type SecretInput = Static<typeof SecretText> | Static<typeof NewSecret> | Static<typeof KeptSecret>;
export const KnownSecret = Type.Object({
  id: Type.String(),
  last4: Type.String({ description: 'Its last four characters; empty when it is short.' }),
  expires_at: nullable(Type.String({ format: 'date-time' })),
});

// Webhooks ----------------------------------------------------------------------------------------------------------

const webhook = {
  wh_id: wideInteger({ examples: [1] }),
  wh_url: Type.String({ description: 'The public URL that a provider POSTs to.' }),
  wh_name: Type.String({ examples: ['My payment method webhook'] }),
  status: Type.Integer({ description: '1 = enabled.' }),
};
export const ListedWebhook = Type.Object(webhook);
export const WebhookQuery = Type.Object({
  id: Type.Optional(idInput({ description: 'Start with this webhook. Default 0.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most 1,000, which is the default.' })),
});
export const WebhookList = Type.Object({
  webhooks: Type.Array(ListedWebhook),
  next_id: Type.Optional(wideInteger({ description: 'There are more webhooks: pass it as `id`.' })),
  hint: Type.Optional(Type.String()),
});

// What each is stands where it is set.
const told = undescribed(settings);
export const WebhookDetail = Type.Object({
  ...webhook,
  preset: nullable(told.preset),
  verify: nullable(VerifyInput),
  secrets: Type.Array(KnownSecret, { description: 'Without their values: those are never told again.' }),
  dedupe: nullable(DedupeInput),
  on_reject: told.on_reject,
  response: ResponseSettings,
  max_body_bytes: nullable(told.max_body_bytes),
  allow_methods: nullable(told.allow_methods),
  allow_networks: nullable(told.allow_networks),
  allow_origins: nullable(told.allow_origins),
  retention_days: nullable(told.retention_days),
  enabled: told.enabled,
  created_at: Type.String({ format: 'date-time' }),
  steps: Type.Optional(Type.Array(Type.String(), { description: 'What to do at the provider, with this URL.' })),
  hint: Type.Optional(Type.String()),
});
export type WebhookDetail = Static<typeof WebhookDetail>;

const Name = Type.String({ minLength: 1, maxLength: 45, description: 'At most 45 bytes of UTF-8.' });
export const WebhookCreate = Type.Object(
  {
    wh_name: Name,
    ...SettingsInput.properties,
    secrets: Type.Optional(secretsOf(Type.Union([SecretText, NewSecret]))),
  },
  strict,
);
export type WebhookCreate = Static<typeof WebhookCreate>;

export const ResponsePatch = memberPatch(ResponseSettings.properties);
export const VerifyPatch = memberPatch(VerifyInput.properties);
export const DedupePatch = memberPatch(DedupeInput.properties);
export const WebhookPatch = Type.Object(
  {
    ...mergePatch(settings),
    response: Type.Optional(ResponsePatch),
    verify: Type.Optional(VerifyPatch),
    dedupe: Type.Optional(DedupePatch),
    wh_name: Type.Optional(Name),
    secrets: Type.Optional(nullable(secretsOf(Type.Union([SecretText, NewSecret, KeptSecret])))),
  },
  strict,
);
export type WebhookPatch = Static<typeof WebhookPatch>;
export const Rotate = Type.Object(
  {
    grace_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30 * 86_400,
        description: 'How long the old URL goes on. Default 86400.',
      }),
    ),
  },
  strict,
);

export const TestInput = Type.Object(
  {
    type: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        examples: ['invoice.paid'],
        description: 'The type of the event, as the provider writes it. Default: a usual one.',
      }),
    ),
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        examples: ['evt_1'],
        description: 'The id of the event; sent twice, the second is flagged as a duplicate. Default: a new one.',
      }),
    ),
  },
  strict,
);
export type TestInput = Static<typeof TestInput>;
export const TestSent = Type.Object({
  status: Type.Integer({ description: 'What the sender of a request like this gets.' }),
  answer: Type.String({ description: 'The text of that answer; of a problem its `detail`.' }),
  verified: nullable(oneOf(['signed', 'token', 'none'], 'The verdict on what was stored.')),
  content_id: nullable(wideInteger({ description: 'The content that it has become; null: nothing was stored.' })),
  event_id: nullable(Type.String()),
  event_type: nullable(Type.String()),
  detail: Type.String({ description: 'What happened, in words.' }),
});
export type TestSent = Static<typeof TestSent>;

export const WebhookId = Type.Object({ wh_id: whidInput({ minimum: 1, examples: [1] }) });
