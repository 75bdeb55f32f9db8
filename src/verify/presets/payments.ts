// Presets, one row each: the providers whose events most people wait for.
import { hubSignature, type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

export const STANDARD = {
  verify: {
    scheme: 'hmac',
    algorithm: 'sha256',
    encoding: 'base64',
    key_encoding: 'base64',
    key_prefix: 'whsec_',
    // The headers of one request belong together: all of the first family that has a signature.
    signature: {
      from: 'header:webhook-signature,svix-signature',
      item_separator: ' ',
      field_separator: ',',
      field: 'v1',
    },
    timestamp: { from: 'header:webhook-timestamp,svix-timestamp' },
    id: 'header:webhook-id,svix-id',
    signed_string: '{id}.{timestamp}.{body}',
  },
  dedupe: ['header:webhook-id,svix-id'],
  event_type: ['body:/type', 'body:/event_type'],
} as const;

export const PAYMENTS: readonly Preset[] = [
  {
    name: 'stripe',
    title: 'Stripe',
    verify: {
      scheme: 'hmac',
      signature: { from: 'header:Stripe-Signature', item_separator: ',', field_separator: '=', field: 'v1' },
      timestamp: { from: 'field:t' },
      signed_string: '{timestamp}.{body}',
    },
    dedupe: ['body:/id'],
    event_type: ['body:/type'],
    secret: 'Stripe calls it the signing secret: whsec_…, on the page of the event destination.',
    steps: [
      'Open Workbench > Webhooks in the Stripe dashboard and press Add destination.',
      'Choose the events, then Webhook endpoint, and paste {url} as the endpoint URL.',
      'Press Reveal under Signing secret and copy it, all of it, with whsec_ in front.',
    ],
    sample: {
      type: 'invoice.paid',
      body: { id: '', object: 'event', type: '', livemode: false, data: { object: {} } },
    },
    waits: 'not published; answers at once are asked for',
    retries: 'up to 3 days, with growing pauses',
    source: 'https://docs.stripe.com/webhooks',
    checked: 'the official library stripe 23 on random bodies, keys and times',
  },
  {
    name: 'twilio',
    title: 'Twilio',
    verify: {
      scheme: 'hmac',
      algorithm: 'sha1',
      encoding: 'base64',
      signature: { from: 'header:X-Twilio-Signature' },
      signed_string: '{url}{params}',
      url: 'twilio',
    },
    // A call has many requests under one CallSid; their token tells them apart.
    dedupe: [
      ['form:MessageSid | query:MessageSid', 'form:MessageStatus | query:MessageStatus'],
      'form:MessageSid | query:MessageSid',
      ['form:CallSid | query:CallSid', 'header:I-Twilio-Idempotency-Token'],
      'body:/*/id',
    ],
    // By GET the same parameters stand in the query.
    event_type: [
      'form:MessageStatus | query:MessageStatus',
      'form:SmsStatus | query:SmsStatus',
      'form:CallStatus | query:CallStatus',
      'body:/*/type',
    ],
    // Twilio would send any text to the end user as a message, and would log an empty answer as an error.
    response: { status: 200, content_type: 'text/xml', body: '<Response/>' },
    secret: 'Twilio calls it the Auth Token, on the first page of the Twilio console.',
    steps: [
      'Open the Twilio console: Messaging > Senders > WhatsApp senders (or Phone Numbers > the number).',
      'Paste {url} under Webhook URL for incoming messages, with HTTP POST.',
      'Paste it again under Status callback URL, if you want to know what became of your messages.',
      'Copy the Auth Token from the first page of the console.',
    ],
    sample: { type: 'delivered', form: { To: '+15005550006', From: '+15005550001' } },
    waits: '15 s',
    retries: 'once, and only when no connection could be made; then the fallback URL',
    source: 'https://www.twilio.com/docs/usage/webhooks/webhooks-security',
    checked: 'two published vectors, and the official library twilio 6 on random URLs, parameters and keys',
  },
  {
    name: 'activecampaign',
    title: 'ActiveCampaign',
    verify: { scheme: 'none' },
    // It sends no id. The body holds date_time, so equal bodies are the same event.
    dedupe: ['sha256'],
    event_type: ['form:type'],
    steps: [
      'Open Settings > Developer > Manage webhooks in ActiveCampaign and press Add.',
      'Paste {url} as the URL, choose the events and the lists, and save.',
      'ActiveCampaign signs nothing: anyone who knows this URL can send. Keep it to yourself, and rotate it if it got out.',
    ],
    sample: { type: 'subscribe', form: { 'contact[email]': 'sample@example.org', list: '0' } },
    waits: 'not published',
    retries: 'none: an event that cannot be delivered is lost',
    source: 'https://developers.activecampaign.com/page/webhooks',
    checked: 'nothing is signed; the form with its bracket keys is tested as documented',
  },
  {
    name: 'github',
    title: 'GitHub',
    verify: hubSignature('X-Hub-Signature-256'),
    dedupe: ['header:X-GitHub-Delivery'],
    event_type: ['header:X-GitHub-Event'],
    secret: 'You choose it yourself when you create the webhook: a long random text.',
    steps: [
      'Open Settings > Webhooks of the repository or organisation and press Add webhook.',
      'Paste {url} as the Payload URL and choose application/json as the content type.',
      'Type a long random text as the Secret, the same as here.',
    ],
    sample: { type: 'push', body: { ref: 'refs/heads/main', repository: { full_name: 'octocat/sample' } } },
    waits: '10 s',
    retries: 'none; you can redeliver by hand for 3 days',
    source: 'https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries',
    checked: 'the published vector, and @octokit/webhooks-methods 6 on random bodies and keys',
  },
  {
    name: 'shopify',
    title: 'Shopify',
    verify: {
      scheme: 'hmac',
      encoding: 'base64',
      signature: { from: 'header:X-Shopify-Hmac-SHA256,Shopify-Hmac-SHA256' },
    },
    dedupe: ['header:X-Shopify-Webhook-Id,Shopify-Webhook-Id'],
    event_type: ['header:X-Shopify-Topic,Shopify-Topic'],
    secret: 'Shopify calls it the client secret of the app; for webhooks made in the admin it stands below their list.',
    steps: [
      'In the admin: Settings > Notifications > Webhooks > Create webhook. In an app: shopify.app.toml or the API.',
      'Paste {url} as the URL and choose JSON.',
      'Copy the signing secret below the list, or the client secret of the app.',
    ],
    sample: { type: 'orders/paid', body: { id: 1, test: true } },
    waits: '5 s in all, 1 s to connect',
    retries: '8 times in 4 hours; then a subscription made by the API is deleted',
    source: 'https://shopify.dev/docs/apps/build/webhooks/verify-deliveries',
    checked: `the official library @shopify/shopify-api 13 on the sample, and ${SECOND_IMPLEMENTATION}`,
  },
  {
    name: 'slack',
    title: 'Slack',
    verify: {
      scheme: 'hmac',
      signature: { from: 'header:X-Slack-Signature', field_separator: '=', field: 'v0' },
      timestamp: { from: 'header:X-Slack-Request-Timestamp' },
      signed_string: 'v0:{timestamp}:{body}',
    },
    handshake: [
      {
        when: [{ from: 'body:/type', equals: 'url_verification' }],
        challenge_from: 'body:/challenge',
        answer: { body: '{challenge}' },
      },
      // From time to time Slack tries the certificate of a command's URL, unsigned.
      {
        method: 'POST',
        when: [{ from: 'form:ssl_check', equals: '1' }],
        signed: false,
        answer: { body: '' },
      },
    ],
    // What a user does in a message or a dialogue comes as JSON in a form.
    dedupe: ['body:/event_id', 'form:trigger_id', 'form:payload#/trigger_id'],
    event_type: ['body:/event/type', 'body:/type', 'form:command', 'form:payload#/type'],
    secret: 'Slack calls it the Signing Secret: Basic Information > App Credentials.',
    steps: [
      'Copy the Signing Secret from Basic Information > App Credentials and set it here first: Slack signs its challenge.',
      'Open Event Subscriptions, switch them on and paste {url} as the Request URL; it must say Verified.',
      'Slash commands and Interactivity take the same URL; an empty answer shows nothing to the user.',
    ],
    sample: { type: 'app_mention', body: { type: 'event_callback', event: { type: '', text: 'A sample' } } },
    waits: '3 s',
    retries: '3 times: at once, after 1 minute, after 5 minutes',
    source: 'https://docs.slack.dev/authentication/verifying-requests-from-slack',
    checked: 'the published vector, and the official library @slack/bolt 5 on the sample',
  },
  {
    name: 'meta',
    title: 'Meta (WhatsApp, Messenger, Instagram)',
    verify: hubSignature('X-Hub-Signature-256'),
    handshake: [
      {
        method: 'GET',
        when: [{ from: 'query:hub.mode', equals: 'subscribe' }],
        token_from: 'query:hub.verify_token',
        challenge_from: 'query:hub.challenge',
        signed: false,
        answer: { body: '{challenge}' },
      },
    ],
    // `*` matches only where it is the only element. A batch that is composed anew is not the same event.
    dedupe: [
      ['body:/entry/*/changes/*/value/statuses/*/id', 'body:/entry/*/changes/*/value/statuses/*/status'],
      'body:/entry/*/changes/*/value/messages/*/id',
      'body:/entry/*/messaging/*/message/mid',
      'sha256',
    ],
    event_type: ['body:/entry/*/changes/*/field', 'body:/object'],
    secret: 'Meta calls it the App Secret: App settings > Basic. The verify token is another one: `verify.token`.',
    steps: [
      'Copy the App Secret from App settings > Basic and set it here as the secret.',
      'Choose a verify token, any long random text, and set it here as verify.token.',
      'Open WhatsApp > Configuration in the app dashboard, paste {url} as the Callback URL and the verify token beside it.',
      'Press Verify and save, then subscribe to the fields you want: messages.',
    ],
    sample: {
      type: 'messages',
      body: {
        object: 'whatsapp_business_account',
        entry: [{ id: '0', changes: [{ field: '', value: { messages: [{ id: '' }] } }] }],
      },
    },
    waits: 'not published; only 200 counts',
    retries: 'WhatsApp up to 7 days, others 36 hours',
    source: 'https://developers.facebook.com/docs/graph-api/webhooks/getting-started',
    checked: `${SECOND_IMPLEMENTATION} over escaped and unescaped bodies: no vector is published`,
  },
  {
    ...STANDARD,
    name: 'standard-webhooks',
    title: 'Standard Webhooks',
    secret: 'whsec_… and base64, as the provider shows it.',
    steps: [
      'Paste {url} as the endpoint URL at the provider (OpenAI, Replicate, Polar and many others).',
      'Copy the signing secret it shows, with whsec_ in front.',
    ],
    waits: '15 to 30 s are usual',
    retries: 'up to 3 days, with growing pauses; after a 410 never again',
    source: 'https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md',
    checked: 'the published vector, and the reference library standardwebhooks 1 on random bodies, ids, keys and times',
  },
  {
    ...STANDARD,
    name: 'svix',
    title: 'Svix (Clerk, Resend and others)',
    secret: 'Svix calls it the Signing Secret: whsec_…, on the page of the endpoint.',
    steps: [
      'Open the webhooks page of the provider, press Add Endpoint and paste {url}.',
      'Copy the Signing Secret of the endpoint, with whsec_ in front.',
    ],
    waits: '15 s',
    retries: 'after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h; switched off after 5 days',
    source: 'https://docs.svix.com/receiving/verifying-payloads/how-manual',
    checked: 'the published vector, and the reference library standardwebhooks 1 under the names of Svix',
  },
];
