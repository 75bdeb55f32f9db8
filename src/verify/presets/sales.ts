// Presets, one row each: shops, money and accounts.
import { STANDARD } from './payments.ts';
import { NOT_FOUND, type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

export const SALES: readonly Preset[] = [
  {
    name: 'woocommerce',
    title: 'WooCommerce',
    verify: { scheme: 'hmac', encoding: 'base64', signature: { from: 'header:X-WC-Webhook-Signature' } },
    handshake: [
      {
        // The ping of a new webhook is a form that nobody signs, and anything but a 200 is shown as an error.
        method: 'POST',
        when: [{ from: 'form:webhook_id' }, { from: 'header:X-WC-Webhook-Signature', absent: true }],
        signed: false,
        answer: { body: '' },
      },
    ],
    // The id of a delivery is a hash of the webhook and the second: two events of one second have the same.
    dedupe: [['header:X-WC-Webhook-Delivery-ID', 'sha256']],
    event_type: ['header:X-WC-Webhook-Topic'],
    secret: 'You choose it yourself: WooCommerce calls it the Secret of the webhook.',
    steps: [
      'Open WooCommerce > Settings > Advanced > Webhooks in the WordPress admin and press Add webhook.',
      'Choose the status Active and a topic, and paste {url} as the Delivery URL.',
      'Type a long random text as the Secret, the same as here, and save: WooCommerce pings the URL.',
    ],
    sample: { type: 'order.created', body: { id: 1 } },
    waits: '60 s',
    retries: 'none; disabled after more than 5 failures in a row',
    source: 'https://developer.woocommerce.com/docs/apis/rest-api/v3/webhooks/',
    checked: `${SECOND_IMPLEMENTATION} written after its source, class-wc-webhook.php: no vector is published`,
  },
  {
    ...STANDARD,
    name: 'bigcommerce',
    title: 'BigCommerce',
    // Standard Webhooks, whose key is the text of the client secret.
    verify: { ...STANDARD.verify, key_encoding: 'utf8', key_prefix: '' },
    dedupe: ['body:/hash', ...STANDARD.dedupe],
    event_type: ['body:/scope'],
    secret: 'BigCommerce calls it the client secret of the API account or the app that creates the webhook.',
    steps: [
      'Create the webhook: POST https://api.bigcommerce.com/stores/{store_hash}/v3/hooks with "destination": "{url}", a "scope" and "is_active": true.',
      'Set the client secret of the same API account here.',
    ],
    sample: { type: 'store/order/created', body: { hash: '', scope: '' } },
    waits: NOT_FOUND,
    retries: '11 times in 48 hours; then the webhook is deactivated',
    source: 'https://docs.bigcommerce.com/docs/integrations/webhooks/https-webhook-overview',
    checked: 'the reference library standardwebhooks 1, used as the documentation of BigCommerce does',
  },
  {
    name: 'razorpay',
    title: 'Razorpay',
    verify: { scheme: 'hmac', signature: { from: 'header:X-Razorpay-Signature' } },
    dedupe: ['header:X-Razorpay-Event-Id'],
    event_type: ['body:/event'],
    secret: 'You choose it yourself: Razorpay calls it the webhook secret. It is not the key secret.',
    steps: [
      'Open Account & Settings > Webhooks in the Razorpay dashboard and press Add New Webhook.',
      'Paste {url} as the Webhook URL, type a long random text as the Secret, the same as here, and choose the events.',
    ],
    sample: { type: 'payment.captured' },
    waits: '5 s',
    retries: 'for 24 hours, with growing pauses; then the webhook is disabled',
    source: 'https://razorpay.com/docs/webhooks/best-practices',
    checked: 'the official library razorpay 2 on random bodies and keys',
  },
  {
    name: 'gocardless',
    title: 'GoCardless',
    verify: { scheme: 'hmac', signature: { from: 'header:Webhook-Signature' } },
    dedupe: ['body:/meta/webhook_id', 'body:/events/*/id', 'sha256'],
    event_type: [['body:/events/*/resource_type', 'body:/events/*/action']],
    secret: 'GoCardless calls it the secret of the webhook endpoint.',
    steps: [
      'Open Developers in the GoCardless dashboard and create a webhook endpoint with {url} as its URL.',
      'Open the endpoint in the list and copy its secret.',
    ],
    sample: { type: 'payments/confirmed' },
    waits: '10 s',
    retries: 'up to 8 times, with growing pauses',
    source: 'https://developer.gocardless.com/getting-started/stay-up-to-date-with-webhooks-v2',
    checked: `the official library gocardless-nodejs 10 on the sample, the vector in its tests, and ${SECOND_IMPLEMENTATION}`,
  },
  {
    name: 'wechatpay',
    title: 'WeChat Pay (API v3)',
    verify: {
      scheme: 'asymmetric',
      algorithm: 'rsa-sha256',
      encoding: 'base64',
      signature: { from: 'header:Wechatpay-Signature' },
      timestamp: { from: 'header:Wechatpay-Timestamp' },
      signed_string: '{timestamp}\n{header:Wechatpay-Nonce}\n{body}\n',
    },
    dedupe: ['body:/id'],
    event_type: ['body:/event_type'],
    secret: 'WeChat Pay calls it the platform public key: PEM, or the public key of the platform certificate.',
    steps: [
      'Copy the WeChat Pay public key from the API security page of the merchant platform, and set it here as the secret.',
      'Give {url} as notify_url in each call that orders, refunds or pays. WeChat Pay allows no query in it.',
    ],
    sample: { type: 'TRANSACTION.SUCCESS' },
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://pay.weixin.qq.com/wiki/doc/api_external/ch/wechatpay/wechatpay4_1.shtml',
    checked: 'a vector that the library wechatpay-node-v3 2 accepts, and signatures made by node:crypto',
  },
  {
    name: 'xero',
    title: 'Xero',
    verify: { scheme: 'hmac', encoding: 'base64', signature: { from: 'header:x-xero-signature' } },
    handshake: [
      {
        // "Intent to receive": some of these requests are signed wrongly on purpose, and want a 401.
        when: [
          { from: 'body:/lastEventSequence', equals: '0' },
          { from: 'body:/entropy' },
          { from: 'body:/events/0/resourceId', absent: true },
        ],
        answer: { body: '' },
      },
    ],
    // An event has no id of its own.
    dedupe: ['sha256'],
    event_type: [['body:/events/*/eventCategory', 'body:/events/*/eventType']],
    secret: 'Xero calls it the webhooks key: your app > Webhooks.',
    steps: [
      'Open your app in the Xero developer portal > Webhooks, choose the events and paste {url} as the delivery URL.',
      'Copy the webhooks key and set it here first: until then every request is answered 200, and Xero wants a 401 for a wrong signature.',
      'Press Send intent to receive: the status must become OK.',
    ],
    sample: { type: 'INVOICE/UPDATE', body: { events: [], lastEventSequence: 1, firstEventSequence: 1 } },
    waits: '5 s; the answer must be empty',
    retries: 'for up to 24 hours; then the webhook is disabled',
    source: 'https://developer.xero.com/documentation/webhooks/configuring-your-server',
    checked: `${SECOND_IMPLEMENTATION}: no vector is published, and the official library verifies nothing`,
  },
];
