// Presets, one row each: code, chat, mail and files.
import { STANDARD } from './payments.ts';
import { echo, hubSignature, type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

export const DEVELOPER: readonly Preset[] = [
  {
    name: 'gitlab',
    title: 'GitLab (secret token)',
    verify: { scheme: 'shared-secret', secret_from: 'header:X-Gitlab-Token' },
    dedupe: ['header:Idempotency-Key', 'header:X-Gitlab-Event-UUID'],
    event_type: ['header:X-Gitlab-Event'],
    secret: 'You choose it yourself: GitLab calls it the secret token.',
    steps: [
      'Open Settings > Webhooks of the project or group and press Add new webhook.',
      'Paste {url} as the URL and type a long random text as the Secret token, the same as here.',
      'Newer versions can sign instead: take the preset gitlab-signing then.',
    ],
    waits: '10 s',
    retries: 'none documented; paused after 4 failures, disabled after 40',
    source: 'https://docs.gitlab.com/user/project/integrations/webhooks/',
    checked: 'nothing is signed: the token is compared, in constant time',
  },
  {
    ...STANDARD,
    name: 'gitlab-signing',
    title: 'GitLab (signing token)',
    event_type: ['header:X-Gitlab-Event'],
    secret: 'GitLab calls it the signing token: whsec_….',
    steps: [
      'Open Settings > Webhooks of the project or group and press Add new webhook.',
      'Paste {url} as the URL, generate a signing token and copy it, with whsec_ in front.',
    ],
    waits: '10 s',
    retries: 'none documented; paused after 4 failures, disabled after 40',
    source: 'https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944',
    checked: 'the reference library standardwebhooks 1: GitLab follows that specification',
  },
  {
    name: 'bitbucket',
    title: 'Bitbucket Cloud',
    verify: hubSignature('X-Hub-Signature'),
    dedupe: ['header:X-Request-UUID'],
    event_type: ['header:X-Event-Key'],
    secret: 'You choose it yourself, or let Bitbucket generate it.',
    steps: [
      'Open Repository settings > Webhooks and press Add webhook.',
      'Paste {url} as the URL, type or generate a Secret, the same as here, and save.',
    ],
    waits: '10 s',
    retries: 'twice',
    source: 'https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/',
    checked: `the sample of the documentation, and ${SECOND_IMPLEMENTATION}`,
  },
  {
    name: 'bitbucket-server',
    title: 'Bitbucket Data Center and Server',
    verify: hubSignature('X-Hub-Signature'),
    // The button "Test connection" sends this, which is not signed.
    handshake: [
      {
        method: 'POST',
        when: [
          { from: 'header:X-Event-Key', equals: 'diagnostics:ping' },
          { from: 'header:X-Hub-Signature', absent: true },
        ],
        signed: false,
        answer: { body: '' },
      },
      // Signed, it tells a wrong secret.
      { method: 'POST', when: [{ from: 'header:X-Event-Key', equals: 'diagnostics:ping' }], answer: { body: '' } },
    ],
    dedupe: ['header:X-Request-Id'],
    event_type: ['header:X-Event-Key'],
    secret: 'You choose it yourself: a long random text.',
    steps: [
      'Open Repository settings (or Project settings) > Webhooks and press Create webhook.',
      'Paste {url} as the URL, type a long random text as the Secret, the same as here, and choose the events.',
      'Press Test connection: its request is answered and not stored.',
    ],
    waits: '20 s',
    retries: 'none; after 5 failures the webhook is skipped for 10 s, then longer',
    source: 'https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html',
    checked: SECOND_IMPLEMENTATION,
  },
  {
    name: 'jira',
    title: 'Jira Cloud',
    verify: hubSignature('X-Hub-Signature'),
    dedupe: ['header:X-Atlassian-Webhook-Identifier'],
    event_type: ['body:/webhookEvent'],
    secret: 'You choose it yourself, or let Jira generate it.',
    steps: [
      'Open Settings > System > WebHooks and press Create a WebHook.',
      'Paste {url} as the URL, type or generate a Secret, the same as here, and choose the events.',
    ],
    waits: 'not published',
    retries: '5 times, every 5 to 15 minutes',
    source: 'https://developer.atlassian.com/cloud/jira/platform/webhooks/',
    checked: SECOND_IMPLEMENTATION,
  },
  {
    name: 'linear',
    title: 'Linear',
    verify: {
      scheme: 'hmac',
      signature: { from: 'header:Linear-Signature' },
      timestamp: { from: 'body:/webhookTimestamp', unit: 'ms' },
      tolerance_seconds: 60,
    },
    dedupe: ['header:Linear-Delivery'],
    event_type: [['header:Linear-Event', 'body:/action'], 'header:Linear-Event'],
    secret: 'Linear calls it the signing secret, on the page of the webhook.',
    steps: [
      'Open Settings > API > Webhooks and press New webhook.',
      'Paste {url} as the URL, choose the resources and save.',
      'Copy the Signing secret of the webhook.',
    ],
    waits: '5 s',
    retries: 'after 1 minute, 1 hour and 6 hours',
    source: 'https://linear.app/developers/webhooks',
    checked: SECOND_IMPLEMENTATION,
  },
  {
    name: 'discord',
    title: 'Discord (interactions and webhook events)',
    verify: {
      scheme: 'asymmetric',
      algorithm: 'ed25519',
      encoding: 'hex',
      signature: { from: 'header:X-Signature-Ed25519' },
      timestamp: { from: 'header:X-Signature-Timestamp' },
      // No window is published; what is signed cannot be changed, only sent again.
      tolerance_seconds: 0,
      signed_string: '{timestamp}{body}',
    },
    handshake: [
      {
        // An event has type 1 as well, and the type of the event besides.
        when: [
          { from: 'body:/type', equals: '1' },
          { from: 'body:/event/type', absent: true },
        ],
        answer: { content_type: 'application/json', body: '{"type":1}' },
      },
      {
        when: [{ from: 'body:/type', equals: '0' }],
        answer: { status: 204, content_type: 'application/json', body: '' },
      },
    ],
    dedupe: ['body:/id', 'sha256'],
    event_type: ['body:/event/type', 'body:/type'],
    response: { status: 204, content_type: 'application/json', body: '' },
    secret: 'Discord calls it the Public Key of the application: General Information.',
    steps: [
      'Copy the Public Key from General Information of your application and set it here first: Discord tests it.',
      'For events: Webhooks > Endpoint, paste {url}, switch Events on and choose them.',
      'For interactions: General Information > Interactions Endpoint URL, paste {url}; set the answer to 200 and {"type":5}.',
    ],
    waits: '3 s',
    retries: 'events for up to 10 minutes',
    source: 'https://discord.com/developers/docs/events/webhook-events',
    checked: 'discord-interactions 4 on random bodies, keys and times, and RFC 8032',
  },
  {
    name: 'sendgrid',
    title: 'SendGrid Event Webhook',
    verify: {
      scheme: 'asymmetric',
      algorithm: 'ecdsa-p256',
      encoding: 'base64',
      signature: { from: 'header:X-Twilio-Email-Event-Webhook-Signature' },
      timestamp: { from: 'header:X-Twilio-Email-Event-Webhook-Timestamp' },
      // No window is published, and events are sent again for a day.
      tolerance_seconds: 0,
      signed_string: '{timestamp}{body}',
    },
    dedupe: ['body:/*/sg_event_id', 'sha256'],
    event_type: ['body:/*/event'],
    secret: 'SendGrid calls it the Verification Key.',
    steps: [
      'Open Settings > Mail Settings > Event Webhooks and create a webhook.',
      'Paste {url} as the Post URL and choose the events.',
      'Switch Enable Signed Event Webhook on, save, and copy the Verification Key.',
    ],
    waits: 'not published',
    retries: 'for 24 hours',
    source:
      'https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features',
    checked: 'the vector in the tests of the official SDK, and signatures made by node:crypto',
  },
  {
    name: 'mailgun',
    title: 'Mailgun',
    verify: {
      scheme: 'hmac',
      // Events are JSON; inbound mail, with its attachments, and old events are forms.
      signature: { from: 'body:/signature/signature | form:signature' },
      timestamp: { from: 'body:/signature/timestamp | form:timestamp' },
      // Retries go on for 8 hours. Without any window a sender that has seen one signature could use it for ever.
      tolerance_seconds: 43_200,
      signed_string: '{timestamp}{json:/signature/token | form:token}',
      // Mailgun signs its token and no more: the event itself is as safe as the URL.
      covers_body: false,
    },
    // One mail comes once for each recipient.
    dedupe: ['body:/event-data/id', ['form:event', 'form:token'], ['form:Message-Id', 'form:recipient'], 'form:token'],
    event_type: ['body:/event-data/event', 'form:event'],
    secret: 'Mailgun calls it the HTTP webhook signing key: Sending > Webhooks, or API security.',
    steps: [
      'Open Sending > Webhooks of your domain and press Add webhook.',
      'Choose the event type and paste {url}. For inbound mail: Receiving > Create route, and {url} under Forward.',
      'Copy the HTTP webhook signing key from the same page.',
    ],
    waits: 'not published; only 200 counts',
    retries: 'after 5, 10 and 15 minutes, 1, 2 and 4 hours; a 406 stops them',
    source: 'https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks',
    checked: SECOND_IMPLEMENTATION,
  },
  {
    name: 'msgraph',
    title: 'Microsoft Graph',
    verify: { scheme: 'shared-secret', secret_from: 'body:/value/*/clientState' },
    // SharePoint writes it in lower case.
    handshake: [echo('POST', 'query:validationToken | query:validationtoken')],
    dedupe: ['body:/value/*/id'],
    event_type: ['body:/value/*/lifecycleEvent', 'body:/value/*/changeType'],
    secret: 'You choose it yourself: clientState, of up to 128 characters, when you create the subscription.',
    steps: [
      'Set a long random text here as the secret.',
      'Create the subscription: POST https://graph.microsoft.com/v1.0/subscriptions with "notificationUrl": "{url}" and the same text as clientState.',
      'Use {url} as lifecycleNotificationUrl too.',
    ],
    waits: '3 s, 10 s for the validation',
    retries: 'for up to 4 hours',
    source: 'https://learn.microsoft.com/graph/change-notifications-delivery-webhooks',
    checked: 'nothing is signed: clientState of every notification is compared, in constant time',
  },
  {
    name: 'dropbox',
    title: 'Dropbox',
    verify: { scheme: 'hmac', signature: { from: 'header:X-Dropbox-Signature' } },
    handshake: [echo('GET', 'query:challenge')],
    // No id: a request only names the accounts that changed, and is the same the next time.
    secret: 'Dropbox calls it the App secret: App Console > Settings.',
    steps: [
      'Open the App Console > your app > Settings and copy the App secret.',
      'Paste {url} under Webhooks and press Add: Dropbox sends a challenge, which is answered.',
    ],
    waits: '10 s',
    retries: 'for about 10 minutes',
    source: 'https://www.dropbox.com/developers/reference/webhooks',
    checked: SECOND_IMPLEMENTATION,
  },
];
