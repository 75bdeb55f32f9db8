// The guide for providers without a preset: each rule in it accepts the request below it, by the words of the documentation above.
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { marked, type Tokens } from 'marked';
import { expect, test } from 'vitest';
import { compileRules } from '../../src/verify/rules.ts';
import { lasting, request } from '../verify/presets/request.ts';
import { verdictOn } from '../verify/verdict.ts';

const fences = marked
  .lexer(readFileSync('docs/guides/not-listed.md', 'utf8'))
  .filter((token): token is Tokens.Code => token.type === 'code');
const rules = fences.filter(({ lang }) => lang === 'call 201 POST /webhooks').map(({ text }) => JSON.parse(text));
const requests = fences.filter(({ lang }) => lang === 'http').map(({ text }) => text);

/** What stands in the examples, computed again as the words say. */
const SIGNED: readonly ((body: string, secret: string) => string)[] = [
  (body, secret) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  (body, secret) => createHmac('sha256', Buffer.from(secret, 'base64')).update(`1795000000.${body}`).digest('base64'),
  (body, secret) => {
    const { order_id, status, amount } = JSON.parse(body);
    return createHash('sha512').update(`${order_id}${status}${amount}${secret}`).digest('hex');
  },
];

test('there are three', () => expect([rules.length, requests.length]).toEqual([3, 3]));

test.each([0, 1, 2])('rule %i accepts its request, and none that was changed', (at) => {
  const { secrets, preset, verify, dedupe } = rules[at];
  const [head = '', body = ''] = requests[at]?.split('\n\n') ?? [];
  const lines = head.split('\n').slice(1);
  const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)));
  expect(requests[at]).toContain(SIGNED[at]?.(body, secrets[0]));
  const compiled = compileRules({ preset, verify, dedupe });
  const judge = (sent: string, nowMs: number) =>
    verdictOn(compiled, lasting(secrets[0]), request({ headers, body: sent, nowMs })).kind;
  const nowMs = 1_795_000_060_000;
  expect(judge(body, nowMs)).toBe('accepted');
  expect(judge(body.replace('paid', 'void'), nowMs)).toBe('signature');
  expect(judge(body, nowMs + 300_000)).toBe(at === 1 ? 'signature' : 'accepted');
});
