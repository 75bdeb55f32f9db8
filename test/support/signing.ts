// Signs requests the way providers do, written apart from the code that verifies them.
import { createHmac } from 'node:crypto';

export type Headers = Record<string, string>;
const hmac = (algorithm: string, key: string | Buffer, text: string | Buffer) =>
  createHmac(algorithm, key).update(text);

export const github = (secret: string, body: string | Buffer): Headers => ({
  'X-Hub-Signature-256': `sha256=${hmac('sha256', secret, body).digest('hex')}`,
});

/** `at`: seconds since 1970. */
export function stripe(secret: string, body: string | Buffer, at = Math.floor(Date.now() / 1000)): Headers {
  const signed = Buffer.concat([Buffer.from(`${at}.`), Buffer.from(body)]);
  return { 'Stripe-Signature': `t=${at},v1=${hmac('sha256', secret, signed).digest('hex')}` };
}

export function slack(secret: string, body: string, at = Math.floor(Date.now() / 1000)): Headers {
  return {
    'X-Slack-Request-Timestamp': String(at),
    'X-Slack-Signature': `v0=${hmac('sha256', secret, `v0:${at}:${body}`).digest('hex')}`,
  };
}

/** A form as Twilio signs it: the URL, then each parameter by name. */
export function twilio(token: string, url: string, parameters: Readonly<Record<string, string>>): Headers {
  const text = Object.keys(parameters)
    .sort()
    .reduce((signed, name) => signed + name + parameters[name], url);
  return {
    'Content-Type': 'application/x-www-form-urlencoded',
    'X-Twilio-Signature': hmac('sha1', token, text).digest('base64'),
  };
}
