// The wire: how a webhook verifies what it receives, and how it knows the same event again.
import { type Static, Type } from 'typebox';
import { oneOf, strict } from './schematypes.ts';

const SOURCE = '^(?:header:.+|query:.+|form:.+|body:(?:/.*)?|sha256)$';
const PLACES = '`header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:Name`, `query:name`';
const Source = (description: string) => Type.String({ maxLength: 255, pattern: SOURCE, description });
const text = (maxLength: number, description: string) => Type.String({ maxLength, description });

const HandshakeInput = Type.Object(
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
    signed: Type.Optional(Type.Boolean({ description: 'Check the signature before it is answered. Default true.' })),
    answer: Type.Object(
      {
        status: Type.Optional(Type.Integer({ minimum: 200, maximum: 299, description: 'Default 200.' })),
        content_type: Type.Optional(oneOf(['text/plain', 'application/json'], 'Default text/plain.')),
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

const verify = {
  scheme: oneOf(
    ['hmac', 'hash', 'asymmetric', 'shared-secret', 'none'],
    'hmac: a keyed digest; hash: a plain digest over a text that holds the secret; asymmetric: a signature and a public key; shared-secret: the secret itself is sent; none: nothing is verified.',
  ),
  algorithm: oneOf(
    ['sha256', 'sha1', 'sha512', 'ed25519', 'ecdsa-p256', 'rsa-sha256'],
    'Default sha256; with `asymmetric` there is no default.',
  ),
  encoding: oneOf(['hex', 'base64', 'base64url'], 'How the signature is written. Default hex.'),
  key_encoding: oneOf(
    ['utf8', 'base64', 'hex'],
    'How the secret is written. Default utf8: its characters are the key.',
  ),
  key_prefix: text(32, 'What to cut off the secret first, if it is there: `whsec_`.'),
  signature: Type.Partial(
    Type.Object({
      from: Source(`Where the signature stands: ${PLACES}.`),
      item_separator: text(4, 'What stands between several signatures or fields: `,` for `t=1,v1=ab`.'),
      field_separator: text(4, 'What stands between the name of a field and its value: `=` for `v1=ab`.'),
      field: text(32, 'The field with the signature: `v1`, `sha256`. Several may be there, any may match.'),
    }),
    strict,
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
    'What is signed: text with `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}`, `{params}`, `{header:x}`, `{json:/pointer}`, and with the scheme hash `{secret}`. Default `{body}`.',
  ),
  covers_body: Type.Boolean({ description: 'false: the signature does not cover the body, and you know it.' }),
  id: Source(`Where \`{id}\` stands: ${PLACES}.`),
  url: oneOf(
    ['as-is', 'hubspot', 'twilio'],
    'as-is: `{url}` is PUBLIC_URL and the target as received. hubspot: twelve of its percent codes are decoded. twilio: with and without a port, raw and normalised.',
  ),
  secret_from: Type.String({
    maxLength: 255,
    pattern: '^(?:bearer|basic|header:.+|query:.+|form:.+|body:/.*)$',
    description: `With shared-secret: ${PLACES}, \`bearer\`, or \`basic\` (the secret is \`user:password\`). In a body path \`*\` means each element.`,
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

export const DedupeInput = Type.Object(
  {
    from: Type.Optional(
      Type.Unsafe<string | string[]>({
        type: ['string', 'array'],
        pattern: SOURCE,
        maxLength: 255,
        items: { type: 'string', pattern: SOURCE, maxLength: 255 },
        minItems: 1,
        maxItems: 5,
        examples: ['header:x-id', 'body:/id', 'sha256'],
        description: `Where the id of the event stands: ${PLACES}, or \`sha256\` of the body. Several are joined with \`/\`. Default: what the preset says.`,
      }),
    ),
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
