// Thousands of hostile calls at once against a running service, beside a user who must not notice: what went wrong, in words.
import * as fc from 'fast-check';
import type { Verdict } from '../support/ledger/verdict.ts';
import { ask, requestOf, type Talk, talk } from '../support/raw.ts';
import { bytesOf, type Call, callsOf, type Live, learn, readDocument, type Target, targetsOf } from './calls.ts';
import { faultOf } from './promised.ts';

export interface FuzzOptions {
  readonly port: number;
  /** Authorization headers: who sends everything, and who must be left alone. */
  readonly attacker: string;
  readonly control: string;
  readonly count: number;
  /** The same seed makes the same calls. */
  readonly seed: number;
  readonly told?: (line: string) => void;
  /** Statuses of each call, of earlier rounds too. */
  readonly seen?: Map<string, Set<number>>;
}

/** What opens /metrics of the service that is shot at. */
export const METRICS_TOKEN = 'fuzz';
const METRICS = `Bearer ${METRICS_TOKEN}`;

const LANES = 16;
const CHUNK = 500;
const MOST_FAILURES = 10;

interface Shot {
  readonly target: Target;
  readonly call: Call;
  /** Bytes of the whole request that are other ones on the wire: where, and what stands there. */
  readonly broken: readonly (readonly [at: number, byte: number])[];
  /** Another Authorization than the right one. */
  readonly auth: string | null;
}

const shotsOf = (targets: readonly Target[]): fc.Arbitrary<Shot> => {
  // What deletes is rarer, so that there is something left.
  const weighted = targets.map((target) => ({
    weight: target.method === 'DELETE' ? 1 : 4,
    arbitrary: callsOf(target).map((call) => ({ target, call })),
  }));
  const wrong = fc.constantFrom(
    '',
    'Basic',
    'Basic MTp4',
    'Basic \xff',
    `Basic ${'A'.repeat(5_000)}`,
    METRICS,
    METRICS,
  );
  return fc
    .tuple(
      fc.oneof(...weighted),
      fc.oneof(
        { weight: 19, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 3 }) },
      ),
      fc.oneof({ weight: 11, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: wrong }),
    )
    .map(([shot, broken, auth]) => ({ ...shot, broken, auth }));
};

/** Resolves when all is sent and answered, and the other user has found his things as they were. */
export async function runFuzz(options: FuzzOptions): Promise<Verdict> {
  const { port, attacker, control, count, seed, told, seen = new Map() } = options;
  const failures: string[] = [];
  const kinds = new Set<string>();
  const statuses: Record<string, number> = {};
  const live: Live = {};
  const targets = targetsOf(await readDocument(`http://127.0.0.1:${port}`));
  const shots = shotsOf(targets);
  const before = await possessionsOf(port, control);
  let slowest = 0;

  const fail = (fault: string, request: Buffer) => {
    // One of a kind is enough.
    const kind = `${request.toString('latin1').split(/[ /?]+/, 2)} ${fault.slice(0, 40)}`;
    if (!kinds.has(kind) && kinds.add(kind))
      failures.push(
        `${JSON.stringify(request.toString('latin1').slice(0, 2_000))} (seed ${seed}): the answer ${fault}`,
      );
  };
  async function fire(line: Talk, { target, call, auth }: Shot): Promise<boolean> {
    const request = bytesOf(target, call, auth ?? attacker, live);
    const began = performance.now();
    line.send(request);
    const answer = await line.answer().catch((error: Error) => error);
    slowest = Math.max(slowest, performance.now() - began);
    if (answer instanceof Error) {
      fail(`does not come: ${answer.message}`, request);
      return false;
    }
    const { status, headers, body } = answer;
    statuses[status] = (statuses[status] ?? 0) + 1;
    const name = `${target.method} ${target.path}`;
    seen.set(name, (seen.get(name) ?? new Set()).add(status));
    const fault = faultOf(target, answer);
    if (fault) fail(fault, request);
    if (status < 300 && /json/.test(headers.get('content-type') ?? '') && !target.path.startsWith('/in/'))
      learn(live, JSON.parse(body.toString()), request.toString('latin1').split(' ', 2)[1]);
    return headers.get('connection') !== 'close';
  }
  /** What is not HTTP any more may be refused or cut off, whatever it is; it must not be an error of the server. */
  async function fireBroken({ target, call, auth, broken }: Shot): Promise<void> {
    const request = bytesOf(target, call, auth ?? attacker, live);
    for (const [at, byte] of broken) request[at % request.length] = byte;
    const line = await talk(port);
    line.send(request);
    // Its length may have been changed: nothing more will come.
    const timer = setTimeout(() => line.socket.end(), 300);
    const status = await line.answer().then(
      (answer) => answer.status,
      () => 0,
    );
    clearTimeout(timer);
    line.end();
    statuses.broken = (statuses.broken ?? 0) + 1;
    // A webhook may be switched off.
    if (status >= 500 && !(status === 503 && target.path.startsWith('/in/')))
      fail(`to broken bytes is ${status}`, request);
  }

  for (let done = 0; done < count && failures.length < MOST_FAILURES; done += CHUNK) {
    const some = fc.sample(shots, { numRuns: Math.min(CHUNK, count - done), seed: seed + done });
    let next = 0;
    const lane = async () => {
      let line: Talk | undefined;
      for (let shot = some[next++]; shot; shot = some[next++]) {
        if (shot.broken.length > 0) {
          await fireBroken(shot);
          continue;
        }
        line ??= await talk(port);
        if (await fire(line, shot)) continue;
        line.end();
        line = undefined;
      }
      line?.end();
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    told?.(`${done + some.length} of ${count}`);
  }

  const health = await ask(port, requestOf('GET', '/readyz'));
  if (health.status !== 200) failures.push(`the service is not ready afterwards: ${health.body}`);
  const after = await possessionsOf(port, control);
  for (const [path, text] of Object.entries(before))
    if (after[path] !== text) failures.push(`${path} of the other user was ${text} and is ${after[path]}`);
  return { figures: { ...statuses, 'slowest ms': Math.round(slowest) }, failures };
}

/** A fuzz that reaches nothing proves nothing; that some thousands of calls miss one or two is luck. */
export function unreached(seen: ReadonlyMap<string, ReadonlySet<number>>, calls: number): string[] {
  const never = [...seen].filter(([, got]) => ![...got].some((status) => status < 300)).map(([name]) => name);
  return calls >= 20_000 && never.length > 3 ? [`these never succeeded: ${never.join(', ')}`] : [];
}

/** Everything a user has, as the API tells it; without what changes with time alone. */
async function possessionsOf(port: number, auth: string): Promise<Record<string, string>> {
  const told: Record<string, string> = {};
  const read = async (path: string) => {
    const { status, body } = await ask(port, requestOf('GET', path, [`Authorization: ${auth}`]));
    told[path] = `${status} ${body.toString('latin1').replace(/"[a-z_]*age_s":[^,}]*/g, '')}`;
    return body.toString();
  };
  const { webhooks } = JSON.parse(await read('/webhooks')) as { webhooks: { wh_id: number }[] };
  for (const { wh_id } of webhooks) await read(`/webhooks/${wh_id}`);
  const { whcontent } = JSON.parse(await read('/whcontent?whid=all&limit=100')) as { whcontent: { id: number }[] };
  for (const { id } of whcontent) for (const end of ['', '/raw', '/trace']) await read(`/whcontent/${id}${end}`);
  await read('/refusals');
  await read('/consumers');
  // Where pages end has to do with what others store; what is on them has not.
  for (const [path, text] of Object.entries(told)) told[path] = text.replace(/"next_id":\d+/g, '');
  return told;
}

/** Gives a user something of every kind that could be harmed. */
export async function furnish(port: number, auth: string): Promise<void> {
  const call = async (method: string, path: string, body: object = {}) => {
    const headers = [`Authorization: ${auth}`, 'Content-Type: application/json'];
    const { status, body: told } = await ask(port, requestOf(method, path, headers, JSON.stringify(body)));
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${told}`);
    return JSON.parse(told.toString()) as Record<string, unknown>;
  };
  const made = await call('POST', '/webhooks', { wh_name: "theirs'; --", max_body_bytes: 5, secrets: [] });
  const path = new URL(String(made.wh_url)).pathname;
  for (const body of ['one', 'two', '\0\xff\x80', 'too large'])
    await ask(port, requestOf('POST', path, ['X-Mark: their-secret'], body));
  const signed = await call('POST', '/webhooks', { wh_name: 'signed', preset: 'github', secrets: ['x'.repeat(20)] });
  for (let i = 0; i < 5; i++)
    await ask(port, requestOf('POST', new URL(String(signed.wh_url)).pathname, [`X-Hub-Signature-256: ${i}`], '{}'));
  await call('POST', '/whcontent', { content: 'own' });
  await call('PUT', '/consumers/theirs', { start: 'earliest', lease_seconds: 3_600 });
  for (let i = 0; i < 100; i++) {
    const { items } = (await call('POST', '/consumers/theirs/pull', { limit: 2, wait: 1 })) as { items: object[] };
    if (items.length > 0) return;
  }
  throw new Error('nothing could be pulled');
}
