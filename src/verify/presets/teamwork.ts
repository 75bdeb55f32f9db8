// Presets, one row each: boards, builds, sign-in and files.
import { STANDARD } from './payments.ts';
import { NOT_FOUND, type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

export const TEAMWORK: readonly Preset[] = [
  {
    name: 'trello',
    title: 'Trello',
    verify: {
      scheme: 'hmac',
      algorithm: 'sha1',
      encoding: 'base64',
      signature: { from: 'header:X-Trello-Webhook' },
      signed_string: '{body}{url}',
    },
    dedupe: ['body:/action/id'],
    event_type: ['body:/action/type'],
    secret: 'Trello calls it the OAuth 1.0 secret: trello.com/power-ups/admin > your Power-Up > API key.',
    steps: [
      'Copy the OAuth 1.0 secret from the API key page of your Power-Up and set it here.',
      'Create the webhook: POST https://api.trello.com/1/tokens/{APIToken}/webhooks/?key={APIKey} with "callbackURL": "{url}", byte for byte, and "idModel".',
      'Trello asks the URL with HEAD first, which is answered.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/',
    checked: `${SECOND_IMPLEMENTATION}: no vector is published`,
  },
  {
    name: 'monday',
    title: 'monday.com',
    // Only apps are sent a JWT, whose signature is not read here.
    verify: { scheme: 'none' },
    handshake: [
      {
        method: 'POST',
        when: [{ from: 'body:/event/type', absent: true }],
        challenge_from: 'body:/challenge',
        signed: false,
        answer: { content_type: 'application/json', body: '{"challenge":"{challenge}"}' },
      },
    ],
    dedupe: [['body:/event/subscriptionId', 'body:/event/triggerUuid'], 'body:/event/triggerUuid'],
    event_type: ['body:/event/type'],
    steps: [
      'Open the board > Integrate, look for webhooks and choose a recipe.',
      'Paste {url}: monday.com sends a challenge, which is answered.',
      'A webhook of a board is not signed: anyone who knows this URL can send. Keep it to yourself, and rotate it if it got out.',
    ],
    waits: NOT_FOUND,
    retries: 'every minute for 30 minutes',
    source: 'https://developer.monday.com/api-reference/reference/webhooks',
    checked:
      'nothing is verified: the JWT that monday.com sends for an app is not checked; the challenge is tested as documented',
  },
  {
    name: 'azure-devops',
    title: 'Azure DevOps (service hooks)',
    verify: { scheme: 'shared-secret', secret_from: 'basic' },
    dedupe: [['body:/subscriptionId', 'body:/id'], 'body:/id'],
    event_type: ['body:/eventType'],
    secret: 'You choose it yourself: the Basic authentication username and password, written here as user:password.',
    steps: [
      'Set user:password here as the secret, with a long random text as the password.',
      'Open Project settings > Service hooks in Azure DevOps, press Create subscription and choose Web Hooks.',
      'Choose the event, paste {url} as the URL and type the same user and password under Basic authentication.',
    ],
    waits: NOT_FOUND,
    retries: 'up to 8 times after a 408, 502, 503 or 504; disabled at once after a 410',
    source: 'https://learn.microsoft.com/azure/devops/service-hooks/services/webhooks',
    checked: 'nothing is signed: user and password are compared, in constant time',
  },
  {
    name: 'okta',
    title: 'Okta (event hooks)',
    verify: { scheme: 'shared-secret', secret_from: 'header:Authorization' },
    handshake: [
      {
        method: 'GET',
        challenge_from: 'header:X-Okta-Verification-Challenge',
        signed: false,
        answer: { content_type: 'application/json', body: '{"verification":"{challenge}"}' },
      },
    ],
    dedupe: ['body:/eventId', 'body:/data/events/*/uuid', 'sha256'],
    event_type: ['body:/data/events/*/eventType', 'body:/eventType'],
    secret: 'You choose it yourself: the authentication secret, which Okta sends as the Authorization header.',
    steps: [
      'Set a long random text here as the secret.',
      'Open Workflow > Event Hooks in the Okta Admin Console and press Create Event Hook.',
      'Paste {url} as the URL, type Authorization as the authentication field and the same text as the authentication secret.',
      'Choose the events, save and press Verify: Okta sends a challenge, which is answered.',
    ],
    waits: '3 s',
    retries: 'at most once, and not after a 4xx',
    source: 'https://developer.okta.com/docs/concepts/event-hooks/',
    checked: 'nothing is signed: the header is compared, in constant time; the challenge is tested as documented',
  },
  {
    name: 'salesforce',
    title: 'Salesforce (outbound messages)',
    verify: { scheme: 'shared-secret', secret_from: 'query:secret' },
    // Ids and the organisation stand in XML, which is not read. A message that is sent again may hold newer values.
    dedupe: ['sha256'],
    // Anything else counts as a failure.
    response: {
      status: 200,
      content_type: 'text/xml',
      body: '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>',
    },
    secret: 'You choose it yourself: letters and digits, which you write into the URL.',
    steps: [
      'Set a long random text of letters and digits here as the secret.',
      'Open Setup > Outbound Messages in Salesforce and create an outbound message for the object.',
      'Paste {url}?secret= and the same text behind it as the Endpoint URL, and use the message in a flow or a rule. Salesforce signs nothing.',
    ],
    waits: '60 s',
    retries: 'for 24 hours, with pauses that grow to 2 hours',
    source: 'https://developer.salesforce.com/docs/platform/api/guide/sforce-api-om-outboundmessaging-wsdl.html',
    checked:
      'nothing is signed: the secret in the URL is compared, in constant time; the answer is the one of the documented WSDL',
  },
  {
    name: 'strava',
    title: 'Strava',
    verify: { scheme: 'none' },
    handshake: [
      {
        method: 'GET',
        when: [{ from: 'query:hub.mode', equals: 'subscribe' }],
        token_from: 'query:hub.verify_token',
        challenge_from: 'query:hub.challenge',
        signed: false,
        answer: { content_type: 'application/json', body: '{"hub.challenge":"{challenge}"}' },
      },
    ],
    // It sends no id. The body holds event_time, so equal bodies are the same event.
    dedupe: ['sha256'],
    event_type: [['body:/object_type', 'body:/aspect_type']],
    steps: [
      'Choose a verify token, any long random text, and set it here as verify.token.',
      'Create the subscription: POST https://www.strava.com/api/v3/push_subscriptions with client_id, client_secret, callback_url={url} and the same text as verify_token.',
      'Strava signs no event: anyone who knows this URL can send. Keep it to yourself, and fetch the object from the API.',
    ],
    waits: '2 s; only 200 counts',
    retries: 'up to three attempts in all',
    source: 'https://developers.strava.com/docs/webhooks/',
    checked: 'nothing is signed; the challenge is tested as documented',
  },
  {
    name: 'cloudinary',
    title: 'Cloudinary',
    verify: {
      scheme: 'hash',
      algorithm: 'sha1',
      signature: { from: 'header:X-Cld-Signature' },
      timestamp: { from: 'header:X-Cld-Timestamp' },
      // The window of the official library.
      tolerance_seconds: 7200,
      signed_string: '{body}{timestamp}{secret}',
    },
    // It sends no id. The body holds the time, so equal bodies are the same event.
    dedupe: ['sha256'],
    event_type: ['body:/notification_type'],
    secret: 'Cloudinary calls it the API Secret: Settings > API Keys.',
    steps: [
      'Open Settings > Webhook Notifications in the Cloudinary console and add {url}, or give it as notification_url in a call.',
      'Copy the API Secret from Settings > API Keys.',
      'If your account signs with SHA-256, add --verify \'{"algorithm":"sha256"}\'.',
    ],
    waits: NOT_FOUND,
    retries: NOT_FOUND,
    source: 'https://cloudinary.com/documentation/notification_signatures',
    checked: 'the official library cloudinary 2 on random bodies, keys and times, with SHA-1 and SHA-256',
  },
  {
    ...STANDARD,
    name: 'supabase',
    title: 'Supabase (auth hooks)',
    event_type: ['body:/metadata/name', 'body:/email_data/email_action_type', ...STANDARD.event_type],
    // An auth hook reads its answer as JSON.
    response: { status: 200, content_type: 'application/json', body: '{}' },
    secret: 'Supabase calls it the secret of the hook: v1,whsec_…. Its database webhooks are not signed.',
    steps: [
      'Open Authentication > Hooks in the Supabase dashboard and add a hook of the type HTTPS.',
      'Paste {url} as its URL, generate a secret and copy it, with v1,whsec_ in front.',
      'The answer is always {}. Take no hook that has to answer more, such as Custom Access Token.',
    ],
    waits: '5 s',
    retries: 'up to 3 times, 2 s apart, after a 429 or 503',
    source: 'https://supabase.com/docs/guides/auth/auth-hooks',
    checked: 'the reference library standardwebhooks 1: Supabase follows that specification',
  },
  {
    ...STANDARD,
    name: 'standard-webhooks-v1a',
    title: 'Standard Webhooks (public key)',
    verify: {
      ...STANDARD.verify,
      scheme: 'asymmetric',
      algorithm: 'ed25519',
      key_prefix: 'whpk_',
      signature: { ...STANDARD.verify.signature, field: 'v1a' },
    },
    secret: 'whpk_… and base64: the public key, as the provider shows it.',
    steps: ['Paste {url} as the endpoint URL at the provider.', 'Copy the public key it shows, with whpk_ in front.'],
    waits: '15 to 30 s are usual',
    retries: 'up to 3 days, with growing pauses; after a 410 never again',
    source: 'https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md',
    checked: 'the vector in the tests of the reference library for Go, and signatures made by node:crypto',
  },
];
