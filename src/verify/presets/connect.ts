// Presets, one row each: senders whose handshake is answered in a header, and events of clouds.
import type { HandshakeInput } from '../../schema/webhooks.ts';
import { type Preset, SECOND_IMPLEMENTATION } from './preset.ts';

/** CloudEvents HTTP webhooks 1.0.2, 4: the sender asks whether it may send, and at which rate. */
const ALLOWED_ORIGIN: HandshakeInput = {
  method: 'OPTIONS',
  challenge_from: 'header:WebHook-Request-Origin',
  signed: false,
  answer: { body: '', headers: { 'WebHook-Allowed-Origin': '{challenge}', 'WebHook-Allowed-Rate': '*' } },
};

export const CONNECT: readonly Preset[] = [
  {
    name: 'asana',
    title: 'Asana',
    verify: { scheme: 'hmac', signature: { from: 'header:X-Hook-Signature' } },
    handshake: [
      {
        method: 'POST',
        // Every event is signed, a handshake never is.
        when: [{ from: 'header:X-Hook-Signature', absent: true }],
        challenge_from: 'header:X-Hook-Secret',
        signed: false,
        answer: { body: '', headers: { 'X-Hook-Secret': '{challenge}' } },
      },
    ],
    // Its events have no id. Every eight hours an empty list comes as a heartbeat.
    dedupe: ['sha256'],
    event_type: [['body:/events/*/resource/resource_type', 'body:/events/*/action']],
    secret:
      'Asana sends it in its first request, as the header X-Hook-Secret: look it up among the refusals of the webhook, kind handshake.',
    steps: [
      'Create the webhook: POST https://app.asana.com/api/1.0/webhooks with "target": "{url}". Asana sends its secret at once, and gets it back.',
      'Look up that request among the refusals of this webhook, kind handshake: its header X-Hook-Secret is the secret.',
      'Set it here. Each webhook that you create at Asana has a secret of its own: add each one.',
    ],
    sample: { type: 'task/changed' },
    waits: '10 s',
    retries: 'for 24 hours, then the webhook is deleted; events may come late and, seldom, not at all',
    source: 'https://developers.asana.com/docs/webhooks-guide',
    checked: SECOND_IMPLEMENTATION,
  },
  {
    name: 'eventgrid',
    title: 'Azure Event Grid',
    verify: { scheme: 'shared-secret', secret_from: 'query:secret' },
    handshake: [
      {
        method: 'POST',
        when: [{ from: 'header:aeg-event-type', equals: 'SubscriptionValidation' }],
        challenge_from: 'body:/*/data/validationCode',
        signed: false,
        answer: { content_type: 'application/json', body: '{"validationResponse":"{challenge}"}' },
      },
      ALLOWED_ORIGIN,
    ],
    // With the schema of CloudEvents an event is no list.
    dedupe: ['body:/*/id', 'body:/id', 'sha256'],
    event_type: ['body:/*/eventType', 'body:/*/type', 'body:/type'],
    secret: 'You choose it yourself: a long text of letters and digits, which Event Grid sends in the URL.',
    steps: [
      'Set a long random text of letters and digits here as the secret.',
      'Create the event subscription with the endpoint type Web Hook and the endpoint {url}?secret=THE-SAME-TEXT. Both schemas work.',
      'To send it in a header instead: set a secret delivery property X-Secret, and here the rule "secret_from": "header:X-Secret".',
    ],
    sample: { type: 'Microsoft.Storage.BlobCreated' },
    waits: '30 s',
    retries: 'up to 30 times in 24 hours, with growing pauses',
    source: 'https://learn.microsoft.com/azure/event-grid/webhook-event-delivery',
    checked: 'nothing is signed: the secret in the URL is compared, in constant time',
  },
  {
    name: 'cloudevents',
    title: 'CloudEvents (any sender by HTTP)',
    verify: { scheme: 'shared-secret', secret_from: 'bearer' },
    handshake: [ALLOWED_ORIGIN],
    // By the specification an id is one of its source. In headers, as a JSON object, or as a batch of one.
    dedupe: [
      ['header:ce-source', 'header:ce-id'],
      ['body:/source', 'body:/id'],
      ['body:/*/source', 'body:/*/id'],
      'sha256',
    ],
    event_type: ['header:ce-type', 'body:/type', 'body:/*/type'],
    secret: 'You choose it yourself, or the sender shows it: the token that it sends as Authorization: Bearer.',
    steps: [
      'Set a long random text here as the secret.',
      'Give the sender {url} as the target, and the same text as its bearer token. It may ask first by OPTIONS, and is answered.',
    ],
    sample: { type: 'com.example.sample' },
    waits: 'as the sender says',
    retries: 'as the sender says',
    source: 'https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md',
    checked: 'nothing is signed: the token is compared, in constant time',
  },
];
