// Presets, one row each: more providers of payments, subscriptions and accounts.
import { NOT_FOUND, type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

/** Said of a row whose facts are common knowledge, where no page of its provider could be read. */
export const KNOWN = 'its scheme is from general knowledge, no page of its provider was read';

// `*` is the only item: what several items hold would not be signed.
const ADYEN = '/notificationItems/*/NotificationRequestItem';

export const BILLING: readonly Preset[] = [
  {
    name: 'adyen',
    title: 'Adyen (standard webhooks)',
    verify: {
      scheme: 'hmac',
      encoding: 'base64',
      key_encoding: 'hex',
      signature: { from: `body:${ADYEN}/additionalData/hmacSignature` },
      signed_string: [
        ...['pspReference', 'originalReference?', 'merchantAccountCode?', 'merchantReference?'],
        ...['amount/value?', 'amount/currency?', 'eventCode', 'success'],
      ]
        .map((name) => `{json:${ADYEN}/${name}}`)
        .join(':'),
      // Adyen signs these eight values and no more: anything else of the event is as safe as the URL.
      covers_body: false,
    },
    dedupe: [[`body:${ADYEN}/pspReference`, `body:${ADYEN}/eventCode`, `body:${ADYEN}/success`]],
    event_type: [`body:${ADYEN}/eventCode`],
    response: { status: 200, content_type: 'text/plain', body: '[accepted]' },
    secret: 'Adyen calls it the HMAC key: 64 hexadecimal digits, shown once when you generate it.',
    steps: [
      'Open Developers > Webhooks in the Customer Area and create a Standard webhook.',
      'Paste {url} as the URL and choose JSON.',
      'Generate the HMAC key under Security, copy it at once, and save.',
    ],
    waits: '10 s',
    retries: '3 times at once, then after 2 minutes to 8 hours, for up to 30 days',
    source: 'https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures',
    checked: 'the vector in the tests of the official libraries, and @adyen/api-library 32 on a second one',
  },
  {
    name: 'mercadopago',
    title: 'Mercado Pago',
    verify: {
      scheme: 'hmac',
      signature: { from: 'header:x-signature', item_separator: ',', field_separator: '=', field: 'v1' },
      timestamp: { from: 'field:ts' },
      // Its pages show times in seconds and in milliseconds, so no window is kept.
      tolerance_seconds: 0,
      signed_string: '{[id:]lower:query:data.id[;]?}{[request-id:]header:x-request-id[;]?}ts:{timestamp};',
      // Neither the body nor its type is signed: fetch the object by its id.
      covers_body: false,
    },
    dedupe: ['body:/id', 'header:x-request-id'],
    event_type: ['body:/action', 'body:/type', 'query:type'],
    secret: 'Mercado Pago calls it the secret signature of the application.',
    steps: [
      'Open Your integrations, choose the application, then Webhooks > Configure notifications.',
      'Paste {url} as the production URL, choose the events and save.',
      'Copy the secret signature that is shown. Notifications of QR codes are not signed: they are refused.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://www.mercadopago.com.mx/developers/en/docs/checkout-api-orders/notifications',
    checked: 'the validator of the official library mercadopago 3 on one request with and one without an id',
  },
  {
    name: 'braintree',
    title: 'Braintree',
    verify: {
      scheme: 'hmac',
      algorithm: 'sha1',
      key_hash: 'sha1',
      // One pair for each public key of the account: `public_key|signature`.
      signature: { from: 'form:bt_signature', item_separator: '&', field_separator: '|', field: '*' },
      signed_string: '{form:bt_payload}',
      // All that the form says stands in bt_payload.
      covers_body: false,
    },
    // Its kind and its time stand in XML, in base64.
    dedupe: ['sha256'],
    secret: 'Braintree calls it the private key: Settings > API > API Keys.',
    steps: [
      'Copy the private key from Settings > API > API Keys of the Control Panel and set it here.',
      'Open Settings > API > Webhooks, create a webhook and paste {url} as the Destination URL.',
      'Choose the events, save, and press Check URL.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://developer.paypal.com/braintree/docs/guides/webhooks/parse',
    checked: 'a notification made by the official library braintree 3',
  },
  {
    name: 'plaid',
    title: 'Plaid',
    verify: {
      scheme: 'jwt',
      algorithm: 'es256',
      signature: { from: 'header:Plaid-Verification' },
      jwt: { body_claim: 'request_body_sha256', time_claim: 'iat' },
    },
    // It sends no id.
    dedupe: ['sha256'],
    event_type: [['body:/webhook_type', 'body:/webhook_code']],
    secret: 'The verification key, as JSON: what /webhook_verification_key/get answers for the kid of a token.',
    steps: [
      'Give {url} as webhook when you create a Link token, or for an Item by /item/webhook/update.',
      'Let one event come. It is kept until there is a key: its header Plaid-Verification names a kid.',
      'Call POST /webhook_verification_key/get with that kid as key_id, and set the member key of its answer here. Plaid changes its keys: add the new one then.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://plaid.com/docs/api/webhooks/webhook-verification/',
    checked: 'the library jose 6 on the sample, as the documentation uses one: no vector is published',
  },
  {
    name: 'paystack',
    title: 'Paystack',
    verify: { scheme: 'hmac', algorithm: 'sha512', signature: { from: 'header:x-paystack-signature' } },
    dedupe: [['body:/event', 'body:/data/id'], 'sha256'],
    event_type: ['body:/event'],
    secret: 'Paystack calls it the secret key: sk_live_… or sk_test_….',
    steps: [
      'Open Settings > API Keys & Webhooks in the Paystack dashboard.',
      'Paste {url} as the webhook URL, and save.',
      'Copy the secret key from the same page. The key of test mode differs.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://paystack.com/docs/payments/webhooks/',
    checked: `${SECOND_IMPLEMENTATION}; ${KNOWN}`,
  },
  {
    name: 'flutterwave',
    title: 'Flutterwave',
    verify: { scheme: 'shared-secret', secret_from: 'header:verif-hash' },
    dedupe: [['body:/event', 'body:/data/id'], 'sha256'],
    event_type: ['body:/event', 'body:/event.type'],
    secret: 'You choose it yourself: the secret hash in the webhook settings.',
    steps: [
      'Set a long random text here as the secret.',
      'Open Settings > Webhooks in the Flutterwave dashboard, paste {url} as the URL and the same text as the secret hash.',
      'Save. The newer flutterwave-signature of its API v4 is another scheme: take generic for it.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://developer.flutterwave.com/docs/webhooks',
    checked: `nothing is signed: the secret hash is compared, in constant time; ${KNOWN}`,
  },
  {
    name: 'coinbase-commerce',
    title: 'Coinbase Commerce',
    verify: { scheme: 'hmac', signature: { from: 'header:X-CC-Webhook-Signature' } },
    dedupe: ['body:/event/id'],
    event_type: ['body:/event/type'],
    secret: 'Coinbase Commerce calls it the webhook shared secret.',
    steps: [
      'Open Settings > Notifications in Coinbase Commerce and add an endpoint.',
      'Paste {url}, save, and copy the shared secret.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://docs.cdp.coinbase.com/commerce/docs/webhooks-security',
    checked: 'the official library coinbase-commerce-node 1 on one request; the steps are from general knowledge',
  },
  {
    name: 'lemonsqueezy',
    title: 'Lemon Squeezy',
    verify: { scheme: 'hmac', signature: { from: 'header:X-Signature' } },
    // It sends no id of the event.
    dedupe: ['sha256'],
    event_type: ['header:X-Event-Name', 'body:/meta/event_name'],
    secret: 'You choose it yourself: the signing secret of the webhook.',
    steps: [
      'Set a random text of up to 40 characters here as the secret.',
      'Open Settings > Webhooks in Lemon Squeezy and add a webhook.',
      'Paste {url} as the Callback URL and the same text as the Signing secret, and choose the events.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://docs.lemonsqueezy.com/help/webhooks/signing-requests',
    checked: `${SECOND_IMPLEMENTATION}; ${KNOWN}`,
  },
  {
    name: 'chargebee',
    title: 'Chargebee',
    verify: { scheme: 'shared-secret', secret_from: 'basic' },
    dedupe: ['body:/id'],
    event_type: ['body:/event_type'],
    secret: 'You choose it yourself: the user name and the password of the webhook, written here as user:password.',
    steps: [
      'Set user:password here as the secret, with a long random text as the password.',
      'Open Settings > Configure Chargebee > API Keys and Webhooks > Webhooks, press Add Webhook and paste {url} as the Webhook URL.',
      'Switch Protect webhook URL with basic authentication on, and type the same user and password. Chargebee signs nothing.',
    ],
    waits: NOT_FOUND,
    retries: 'up to 7 times in 3 days, with growing pauses',
    source: 'https://www.chargebee.com/docs/webhook_settings.html',
    checked: 'nothing is signed: user and password are compared, in constant time',
  },
  {
    name: 'wise',
    title: 'Wise',
    verify: {
      scheme: 'asymmetric',
      algorithm: 'rsa-sha256',
      encoding: 'base64',
      signature: { from: 'header:X-Signature-SHA256' },
    },
    dedupe: ['header:X-Delivery-Id'],
    event_type: ['body:/event_type'],
    secret: 'The public key that Wise publishes with its documentation, as PEM. Sandbox and production differ.',
    steps: [
      'Copy the public key of production from Wise (Event handling > Signature header) and set it here.',
      'Create the subscription by the API with {url}, or open Settings > Developer tools > Webhooks of the profile.',
      'Wise tests the URL with a signed request, so set the key first.',
    ],
    waits: '5 s',
    retries: 'at most 25 times within two weeks, with growing pauses',
    source: 'https://docs.wise.com/features/webhooks-notifications/event-handling',
    checked: 'signatures made by node:crypto: its published key has no published signature',
  },
];
