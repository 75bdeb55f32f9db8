// Webhooks and their settings on the wire: what may be set, what is told.
import { type Static, type TSchema, Type } from 'typebox';
import { METHOD, mergePatch, nullable, oneOf, strict } from './schematypes.ts';
import { DedupeInput, VerifyInput } from './schemaverify.ts';

// Settings of a webhook ---------------------------------------------------------------------------------------------

const ResponseSettings = Type.Object(
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
    description: 'What senders are answered once their request is committed.',
  }),
  max_body_bytes: Type.Integer({
    minimum: 0,
    description: 'Larger bodies are refused with 413. Default: MAX_BODY_BYTES.',
  }),
  allow_methods: Type.Array(Type.String({ pattern: METHOD }), {
    maxItems: 40,
    description: 'Other methods are refused with 405. Default: every method.',
  }),
  allow_networks: Type.Array(Type.String({ minLength: 2, maxLength: 49 }), {
    maxItems: 100,
    description: 'Senders outside of these addresses and CIDR networks are refused with 403. Default: everybody.',
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
    'keep: what fails its check is kept as a refusal, to be looked at and released. Default keep.',
  ),
  retention_days: Type.Integer({
    minimum: 0,
    maximum: 36_500,
    description: 'Contents are removed when they are so many days old; 0 = never. Default: RETENTION_DAYS.',
  }),
  enabled: Type.Boolean({
    description: 'false: senders are answered 503 with Retry-After and try again. Default true.',
  }),
};
/** What may be set; what is left out has its default. This is what the database keeps. */
export const SettingsInput = Type.Partial(Type.Object(settings), strict);
export type SettingsInput = Static<typeof SettingsInput>;

export interface Settings {
  readonly response: Static<typeof ResponseSettings>;
  readonly preset: string | null;
  readonly verify: VerifyInput | null;
  readonly dedupe: DedupeInput | null;
  readonly on_reject: 'keep' | 'drop';
  readonly max_body_bytes: number | null;
  readonly allow_methods: readonly string[] | null;
  readonly allow_networks: readonly string[] | null;
  readonly retention_days: number | null;
  readonly enabled: boolean;
}

type Answer = { readonly status: number; readonly content_type: string; readonly body: string };
/** Settings with every default filled in; a preset has an answer of its own. */
export const resolveSettings = (input: SettingsInput, answer?: Answer): Settings => ({
  response: {
    status: 200,
    content_type: 'text/plain',
    body: '',
    ...(answer as SettingsInput['response']),
    ...input.response,
  },
  preset: input.preset ?? null,
  verify: input.verify ?? null,
  dedupe: input.dedupe ?? null,
  on_reject: input.on_reject ?? 'keep',
  max_body_bytes: input.max_body_bytes ?? null,
  allow_methods: input.allow_methods ?? null,
  allow_networks: input.allow_networks ?? null,
  retention_days: input.retention_days ?? null,
  enabled: input.enabled ?? true,
});

// Secrets -----------------------------------------------------------------------------------------------------------

const SecretText = Type.String({ minLength: 1, maxLength: 4_096 });
const Expiry = Type.Optional(
  nullable(Type.String({ format: 'date-time', description: 'It counts until then. Default: for ever.' })),
);
const NewSecret = Type.Object({ value: SecretText, expires_at: Expiry }, strict);
const KeptSecret = Type.Object({ id: Type.String({ maxLength: 40 }), expires_at: Expiry }, strict);
const SECRETS = 'Any of them may have signed. A public key, a token of your choice or a shared key is a secret too.';
const secretsOf = <T extends TSchema>(one: T) => Type.Array(one, { maxItems: 20, description: SECRETS });
export type SecretInput = Static<typeof SecretText> | Static<typeof NewSecret> | Static<typeof KeptSecret>;
const Secret = Type.Object({
  id: Type.String(),
  last4: Type.String({ description: 'Its last four characters; empty when it is short.' }),
  expires_at: nullable(Type.String({ format: 'date-time' })),
});

// Webhooks ----------------------------------------------------------------------------------------------------------

const webhook = {
  wh_id: Type.Integer({ examples: [1] }),
  wh_url: Type.String({ description: 'The public URL that a provider POSTs to.' }),
  wh_name: Type.String({ examples: ['My payment method webhook'] }),
  status: Type.Integer({ description: '1 = enabled.' }),
};
const Webhook = Type.Object(webhook);
export const WebhookList = Type.Object({ webhooks: Type.Array(Webhook), hint: Type.Optional(Type.String()) });

export const WebhookDetail = Type.Object({
  ...webhook,
  preset: nullable(settings.preset),
  verify: nullable(VerifyInput),
  secrets: Type.Array(Secret, { description: 'Without their values: those are never told again.' }),
  dedupe: nullable(DedupeInput),
  on_reject: settings.on_reject,
  response: ResponseSettings,
  max_body_bytes: nullable(settings.max_body_bytes),
  allow_methods: nullable(settings.allow_methods),
  allow_networks: nullable(settings.allow_networks),
  retention_days: nullable(settings.retention_days),
  enabled: settings.enabled,
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

export const WebhookPatch = Type.Object(
  {
    ...mergePatch(settings),
    response: Type.Optional(nullable(Type.Object(mergePatch(ResponseSettings.properties), strict))),
    verify: Type.Optional(nullable(Type.Object(mergePatch(VerifyInput.properties), strict))),
    dedupe: Type.Optional(nullable(Type.Object(mergePatch(DedupeInput.properties), strict))),
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
export const WebhookId = Type.Object({ wh_id: Type.Integer({ minimum: 1, maximum: 4_294_967_295, examples: [1] }) });
