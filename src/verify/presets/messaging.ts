// Presets, one row each: chat, streams and mail to many.
import { hubSignature, NO_BODY, NOT_FOUND, type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

export const MESSAGING: readonly Preset[] = [
  {
    name: 'telegram',
    title: 'Telegram Bot API',
    verify: { scheme: 'shared-secret', secret_from: 'header:X-Telegram-Bot-Api-Secret-Token' },
    // The type of an update is the name of a member, which no pointer reads.
    dedupe: ['body:/update_id'],
    secret: 'You choose it yourself: secret_token of setWebhook, 1 to 256 of A-Z, a-z, 0-9, _ and -.',
    steps: [
      'Set a long random text of letters and digits here as the secret.',
      'Call https://api.telegram.org/bot{token}/setWebhook with url={url} and the same text as secret_token.',
    ],
    sample: { body: { update_id: 0, message: { text: 'A sample' } } },
    waits: NOT_FOUND,
    retries: '"a reasonable amount of attempts"; Telegram says no number',
    source: 'https://core.telegram.org/bots/api#setwebhook',
    checked: 'nothing is signed: the token is compared, in constant time',
  },
  {
    name: 'line',
    title: 'LINE Messaging API',
    verify: { scheme: 'hmac', encoding: 'base64', signature: { from: 'header:x-line-signature' } },
    // A redelivery says so in its body, so its bytes are others.
    dedupe: ['body:/events/*/webhookEventId', 'sha256'],
    event_type: ['body:/events/*/type'],
    secret: 'LINE calls it the channel secret: Basic settings of the channel.',
    steps: [
      'Copy the Channel secret from Basic settings of the channel in the LINE Developers Console and set it here.',
      'Open Messaging API, paste {url} as the Webhook URL, press Verify and switch Use webhook on.',
    ],
    sample: { type: 'message' },
    waits: NOT_FOUND,
    retries: 'none, unless webhook redelivery is switched on in the console',
    source: 'https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature',
    checked: `the official library @line/bot-sdk 11 on the sample, the vector in its tests, and ${SECOND_IMPLEMENTATION}`,
  },
  {
    name: 'twitch',
    title: 'Twitch EventSub',
    verify: {
      ...hubSignature('Twitch-Eventsub-Message-Signature'),
      id: 'header:Twitch-Eventsub-Message-Id',
      timestamp: { from: 'header:Twitch-Eventsub-Message-Timestamp', format: 'iso8601' },
      tolerance_seconds: 600,
      signed_string: '{id}{timestamp}{body}',
    },
    handshake: [
      {
        when: [{ from: 'header:Twitch-Eventsub-Message-Type', equals: 'webhook_callback_verification' }],
        challenge_from: 'body:/challenge',
        answer: { body: '{challenge}' },
      },
    ],
    dedupe: ['header:Twitch-Eventsub-Message-Id'],
    // A revocation names the same subscription as an event.
    event_type: [['header:Twitch-Eventsub-Message-Type', 'header:Twitch-Eventsub-Subscription-Type']],
    secret: 'You choose it yourself, 10 to 100 characters: transport.secret, when you create the subscription.',
    steps: [
      'Set a random text of 10 to 100 characters here first as the secret: Twitch signs its challenge.',
      'Create the subscription: POST https://api.twitch.tv/helix/eventsub/subscriptions with "transport": {"method":"webhook","callback":"{url}","secret":"…"} and the same text.',
    ],
    sample: { type: 'notification/channel.follow' },
    waits: '"a few seconds"',
    retries: 'sent again by Twitch, how often is not published; the subscription is revoked after too many failures',
    source: 'https://dev.twitch.tv/docs/eventsub/handling-webhook-events',
    checked: `${SECOND_IMPLEMENTATION}: no vector is published`,
  },
  {
    name: 'webex',
    title: 'Webex',
    verify: { scheme: 'hmac', algorithm: 'sha1', signature: { from: 'header:X-Spark-Signature' } },
    // `id` is that of the webhook, and the same each time; an object that changes twice may send the same bytes.
    event_type: [['body:/resource', 'body:/event']],
    secret: 'You choose it yourself: secret, when you create the webhook by the API.',
    steps: [
      'Set a long random text here as the secret.',
      'Create the webhook: POST https://webexapis.com/v1/webhooks with "targetUrl": "{url}", a name, resource and event, and the same text as secret.',
    ],
    sample: { type: 'messages/created' },
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://developer.webex.com/docs/receive-and-verify-webhooks',
    checked: `${SECOND_IMPLEMENTATION}: no vector is published`,
  },
  {
    name: 'teams',
    title: 'Microsoft Teams (outgoing webhook)',
    verify: {
      scheme: 'hmac',
      encoding: 'base64',
      key_encoding: 'base64',
      signature: { from: 'header:Authorization', field_separator: ' ', field: 'HMAC' },
    },
    dedupe: ['body:/id'],
    event_type: ['body:/type'],
    // Teams shows the answer in the channel.
    response: { status: 200, content_type: 'application/json', body: '{"type":"message","text":"Received."}' },
    secret: 'Teams calls it the security token, which it shows once, when you create the webhook.',
    steps: [
      'Open the team > Manage team > Apps and press Create an outgoing webhook.',
      'Give it a name and a description, paste {url} as the Callback URL and press Create.',
      'Copy the security token. Teams shows the answer to whoever mentions the webhook: change it with `response`.',
    ],
    sample: { type: 'message', body: { type: '', text: 'A sample' } },
    waits: '5 s',
    retries: NOT_FOUND,
    source: 'https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook',
    checked: `${SECOND_IMPLEMENTATION}; the published signature has no published body`,
  },
  {
    name: 'mailchimp',
    title: 'Mailchimp (audience)',
    verify: { scheme: 'shared-secret', secret_from: 'query:secret' },
    // Mailchimp saves no URL that does not answer its GET.
    handshake: [{ method: 'GET', when: [NO_BODY], signed: false, answer: { body: '' } }],
    // It sends no id. The body holds fired_at, so equal bodies are the same event.
    dedupe: ['sha256'],
    event_type: ['form:type'],
    secret: 'You choose it yourself: letters and digits, which you write into the URL.',
    steps: [
      'Set a long random text of letters and digits here as the secret.',
      'Open Audience > Settings > Webhooks in Mailchimp and press Create New Webhook.',
      'Paste {url}?secret= and the same text behind it as the Callback URL, choose the events and save. Mailchimp signs nothing.',
    ],
    sample: { type: 'subscribe', form: { 'data[email]': 'sample@example.org' } },
    waits: '10 s',
    retries: 'for 75 minutes, with growing pauses',
    source: 'https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/',
    checked: 'nothing is signed: the secret in the URL is compared, in constant time',
  },
  {
    name: 'mandrill',
    title: 'Mailchimp Transactional (Mandrill)',
    verify: {
      scheme: 'hmac',
      algorithm: 'sha1',
      encoding: 'base64',
      signature: { from: 'header:X-Mandrill-Signature' },
      signed_string: '{url}{params}',
    },
    handshake: [
      {
        // The test of a URL has no events, and is signed with a key that everybody knows.
        method: 'POST',
        when: [{ from: 'form:mandrill_events', equals: '[]' }],
        signed: false,
        answer: { body: '' },
      },
    ],
    // The events are JSON in one field of a form, which no pointer reads.
    dedupe: ['sha256'],
    secret: 'Mandrill calls it the key of the webhook: mandrillapp.com/settings/webhooks.',
    steps: [
      'Open Webhooks in Mailchimp Transactional and press Add a Webhook.',
      'Choose the events and paste {url} as Post To URL, byte for byte: Mandrill signs it.',
      'Copy the key of the new webhook from the list.',
    ],
    sample: { form: { mandrill_events: '[{"event":"send"}]' } },
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/',
    checked: `${SECOND_IMPLEMENTATION}: no vector is published`,
  },
  {
    name: 'klaviyo',
    title: 'Klaviyo (system webhooks)',
    verify: {
      scheme: 'hmac',
      signature: { from: 'header:Klaviyo-Signature' },
      timestamp: { from: 'header:Klaviyo-Timestamp', format: 'http-date' },
      // No window is published, and whether a retry is signed anew is not either.
      tolerance_seconds: 0,
      signed_string: '{body}{timestamp}',
    },
    // Up to 1,000 events in one request: a batch of several is known by its bytes.
    dedupe: ['body:/data/*/external_id', 'sha256'],
    event_type: ['body:/data/*/topic'],
    secret: 'You choose it yourself, 16 characters or more: secret_key, when you create the webhook.',
    steps: [
      'Set a long random text here as the secret.',
      'Create the webhook by the Webhooks API, or in Klaviyo, with {url} as endpoint_url and the same text as secret_key.',
      'The Webhook action of a flow is another thing: it signs nothing. Take generic for it.',
    ],
    sample: { type: 'event:klaviyo.sent_sms' },
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://developers.klaviyo.com/en/docs/working_with_system_webhooks',
    checked: `${SECOND_IMPLEMENTATION}: no vector with its secret is published`,
  },
  {
    name: 'plivo',
    title: 'Plivo (signature v3)',
    verify: {
      scheme: 'hmac',
      encoding: 'base64',
      // One for each auth token of the account.
      signature: { from: 'header:X-Plivo-Signature-V3', item_separator: ',' },
      // So it is for a POST to a URL without a query: the question mark is signed all the same.
      signed_string: '{url}?{params}.{header:X-Plivo-Signature-V3-Nonce}',
    },
    // A call has many requests under one CallUUID.
    dedupe: [['form:MessageUUID', 'form:Status'], 'form:MessageUUID', 'sha256'],
    event_type: ['form:Status', 'form:Event', 'form:Type'],
    response: { status: 200, content_type: 'text/xml', body: '<Response/>' },
    secret: 'Plivo calls it the Auth Token, on the first page of the console.',
    steps: [
      'Create an application in the Plivo console under Messaging (or Voice) and paste {url} as its Message URL (or Answer URL).',
      'Choose POST, and add no query to the URL: what Plivo signs of a GET, or behind a query, is put together another way and refused here.',
      'Copy the Auth Token from the first page of the console.',
    ],
    sample: { type: 'delivered', form: { To: '15005550006', From: '15005550001' } },
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://www.plivo.com/docs/messaging/concepts/signature-validation',
    checked: 'the official library plivo 4 on the sample; the steps and the page are from general knowledge',
  },
  {
    name: 'front',
    title: 'Front (application webhooks)',
    verify: {
      scheme: 'hmac',
      encoding: 'base64',
      signature: { from: 'header:X-Front-Signature' },
      timestamp: { from: 'header:X-Front-Request-Timestamp', unit: 'ms' },
      signed_string: '{timestamp}:{body}',
    },
    handshake: [
      {
        method: 'POST',
        when: [{ from: 'body:/type', equals: 'sync' }],
        challenge_from: 'header:X-Front-Challenge',
        answer: { content_type: 'application/json', body: '{"challenge":"{challenge}"}' },
      },
    ],
    // Which member is the id of the event was not found in its documentation.
    dedupe: ['sha256'],
    event_type: ['body:/type'],
    secret: 'Front calls it the signing key of the application: its page on Developers in the settings.',
    steps: [
      'Open Settings > Developers in Front, choose your app, and copy its signing key: set it here first, as Front signs its challenge.',
      'Add the feature Application webhook, paste {url} and choose the events: Front sends a challenge, which is answered.',
      'A webhook of a rule signs another way: take generic with sha1, base64 and the API secret for it.',
    ],
    sample: { type: 'inbound', body: { type: '', authorization: { id: 'cmp_1' } } },
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://dev.frontapp.com/docs/application-webhooks',
    checked: `${SECOND_IMPLEMENTATION}: no vector is published; how the challenge is answered is from general knowledge`,
  },
  {
    name: 'aircall',
    title: 'Aircall',
    verify: { scheme: 'shared-secret', secret_from: 'body:/token' },
    // It sends no id of the event. The body holds the time.
    dedupe: ['sha256'],
    event_type: ['body:/event'],
    secret: 'Aircall calls it the token of the webhook: in the answer of the call that creates it, or on its page.',
    steps: [
      'Create the webhook: POST https://api.aircall.io/v1/webhooks with "url": "{url}", or install Webhook on the Integrations page of the dashboard and paste {url}.',
      'Copy the token of the webhook and set it here. Aircall signs nothing: it sends this token in each event.',
    ],
    sample: { type: 'call.created', body: { resource: 'call', event: '' } },
    waits: '5 s',
    retries: NOT_FOUND,
    source: 'https://developer.aircall.io/docs/setup-webhooks',
    checked: 'nothing is signed: the token is compared, in constant time; where it stands is from general knowledge',
  },
];
