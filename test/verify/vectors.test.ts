// Every signature that a provider or an RFC has published, through the preset it belongs to, else through `generic`.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { lasting, NOW_MS, request } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

interface Vector {
  readonly name: string;
  readonly preset: string;
  readonly verify?: VerifyInput;
  readonly secret: string;
  readonly method?: string;
  readonly url?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly time?: number;
  /** What its twin has otherwise, where a byte at the end of the body changes nothing that is signed. */
  readonly changed?: Partial<Vector>;
}
const vectors = JSON.parse(readFileSync('test/verify/presets/vectors.json', 'utf8')) as readonly Vector[];

const incomingOf = ({ time, ...rest }: Vector) =>
  request({ ...rest, nowMs: time === undefined ? NOW_MS : time * 1000 });

test.each(vectors)('$name passes through $preset', (vector) => {
  const rules = compileRules({ preset: vector.preset, ...(vector.verify && { verify: vector.verify }) });
  const incoming = incomingOf(vector);
  expect(verdictOn(rules, lasting(vector.secret), incoming)).toEqual({ kind: 'accepted', verified: 'signed' });
  const changed = vector.changed
    ? incomingOf({ ...vector, ...vector.changed })
    : { ...incoming, body: Buffer.concat([incoming.body, Buffer.from('x')]) };
  expect(verdictOn(rules, lasting(vector.secret), changed).kind).toBe('signature');
});

test('the vectors are those of many', () => {
  expect(vectors.length).toBe(44);
});
