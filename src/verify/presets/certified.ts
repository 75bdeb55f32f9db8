// Presets, one row each: providers that sign with a certificate, which a request names by a URL.
import type { Preset } from './preset.ts';

// Strict: sns.s3-us-west-2.amazonaws.com is a bucket that anybody may have called sns.
const SNS_HOST =
  'sns\\.(?:cn-[a-z]{4,12}-\\d{1,2}\\.amazonaws\\.com\\.cn|(?!cn-)[a-z]{2}(?:-gov)?-[a-z]{4,12}-\\d{1,2}\\.amazonaws\\.com)';
const SNS_CONTROL = (type: string) => ({
  method: 'POST',
  when: [{ from: 'body:/Type', equals: type }],
  answer: { body: '' },
});

export const CERTIFIED: readonly Preset[] = [
  {
    name: 'sns',
    title: 'Amazon SNS',
    verify: {
      scheme: 'asymmetric',
      algorithm: 'rsa-sha256',
      encoding: 'base64',
      signature: { from: 'body:/Signature' },
      // Anybody with an account at AWS can send what is signed well: the topic is what ties it to its owner.
      secret_from: 'body:/TopicArn',
      signed_string: [
        ...['Message\n{json:/Message}\n', 'MessageId\n{json:/MessageId}\n', '{[Subject\n]json:/Subject[\n]?}'],
        ...['{[SubscribeURL\n]json:/SubscribeURL[\n]?}', 'Timestamp\n{json:/Timestamp}\n'],
        ...['{[Token\n]json:/Token[\n]?}', 'TopicArn\n{json:/TopicArn}\n', 'Type\n{json:/Type}\n'],
      ].join(''),
      // Of the members of the message: others may be added.
      covers_body: false,
    },
    certificate: {
      from: 'body:/SigningCertURL',
      url: new RegExp(`^https://${SNS_HOST}/SimpleNotificationService-[0-9A-Za-z]{8,64}\\.pem$`),
      name: /^sns(?:-signing)?(?:[.-][a-z0-9-]{1,40})?\.amazonaws\.com(?:\.cn)?$/,
      algorithms: { from: 'body:/SignatureVersion', by: { 1: 'rsa-sha1', 2: 'rsa-sha256' } },
    },
    handshake: [SNS_CONTROL('SubscriptionConfirmation'), SNS_CONTROL('UnsubscribeConfirmation')],
    link: {
      from: '/SubscribeURL',
      url: new RegExp(`^https://${SNS_HOST}/\\?[0-9A-Za-z=&%:._~+/-]{1,1000}$`),
      says: 'Amazon SNS asks whether this URL may receive the messages of the topic. To confirm it, open the link (SubscribeURL).',
    },
    dedupe: ['body:/MessageId'],
    event_type: ['body:/Type'],
    secret: 'The ARN of the topic, arn:aws:sns:…, on its page in the Amazon SNS console.',
    steps: [
      'Copy the ARN of the topic from the Amazon SNS console and set it here as the secret.',
      'Press Create subscription there, choose HTTPS and paste {url} as the endpoint. Leave raw message delivery off: raw messages are not signed.',
      'SNS asks at once whether it may send. Open the link that the refusal of the kind handshake shows, in the inbox or by GET /refusals.',
      'To let SNS sign with SHA-256, set the attribute SignatureVersion of the topic to 2. To take nothing else: --verify \'{"algorithm":"rsa-sha256"}\'.',
    ],
    waits: '15 s',
    retries: '50 times in about an hour, unless a delivery policy says otherwise',
    source: 'https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html',
    checked: 'the official library sns-validator 0.3, and a second implementation, with certificates of our own',
  },
  {
    name: 'paypal',
    title: 'PayPal',
    verify: {
      scheme: 'asymmetric',
      algorithm: 'rsa-sha256',
      encoding: 'base64',
      signature: { from: 'header:PAYPAL-TRANSMISSION-SIG' },
      timestamp: { from: 'header:PAYPAL-TRANSMISSION-TIME', format: 'iso8601' },
      // Three days of retries, and an hour.
      tolerance_seconds: 262_800,
      signed_string: '{header:PAYPAL-TRANSMISSION-ID}|{timestamp}|{secret}|{crc32}',
      // Any body can be given the same CRC-32.
      covers_body: false,
    },
    certificate: {
      from: 'header:PAYPAL-CERT-URL',
      url: /^https:\/\/api(?:\.sandbox)?\.paypal\.com\/v1\/notifications\/certs\/CERT-[0-9A-Za-z-]{1,64}$/,
      name: /^messageverificationcerts(?:\.sandbox)?\.paypal\.com$/,
    },
    dedupe: ['body:/id'],
    event_type: ['body:/event_type'],
    secret: 'The Webhook ID, beside the URL in Apps & Credentials > the app > Webhooks.',
    steps: [
      'Open Apps & Credentials in the PayPal developer dashboard, choose the app, press Add Webhook, paste {url} and choose the events.',
      'Copy the Webhook ID from the list and set it here as the secret. Events of the simulator have no Webhook ID and are refused.',
    ],
    waits: 'not found in its documentation',
    retries: 'up to 25 times in 3 days',
    source: 'https://developer.paypal.com/api/rest/webhooks/rest/',
    checked: 'a second implementation by the documentation, with certificates of its own: no vector is published',
  },
];
