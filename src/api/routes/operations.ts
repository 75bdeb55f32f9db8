// The account that signed in; and for the operator: is the process alive, is it ready, its metrics.
import type { Config } from '../../config/config.ts';
import { notFound, unauthenticatedBearer, unavailable } from '../../errors.ts';
import type { Cause, Incidents } from '../../observe/incidents.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { type Overload, overloadProblem } from '../../observe/overload.ts';
import type { Tail } from '../../reading/tail.ts';
import type { Writer } from '../../receiver/writer.ts';
import { Health, Me, Ready } from '../../schema/contents.ts';
import { causeOf } from '../../store/engine/causes.ts';
import type { Store } from '../../store/open.ts';
import { sameSecret } from '../../verify/digest.ts';
import { route } from '../route.ts';

/** What the operator's calls take of the service. */
export interface OperationCalls {
  readonly store: Store;
  readonly config: Config;
  readonly writer: Pick<Writer, 'full' | 'waiting' | 'busyMs'>;
  readonly tail: Pick<Tail, 'age' | 'heldSeconds' | 'readableId'>;
  readonly overload: Pick<Overload, 'why'>;
  readonly incidents: Pick<Incidents, 'storing' | 'cause'>;
  readonly metrics: Pick<Metrics, 'enabled' | 'page'>;
  /** What retention keeps until a person confirms it. */
  readonly retention: { readonly held: { readonly text: string } | undefined };
  /** What lists promise on this database, in a word and in a sentence. */
  readonly promise: () => { readonly code: string; readonly text: string };
}

export const me = route({
  operationId: 'verifyCredentials',
  method: 'GET',
  url: '/',
  tag: 'Account',
  kind: 'classic',
  summary: 'Verify your credentials',
  answers: {
    200: { schema: Me, example: { username: '1001' }, description: 'They are right' },
    302: { description: 'To /docs: a browser that has no credentials' },
  },
  handler: (_parts: unknown, { userId, hint }) => ({ username: String(userId), ...hint }),
});

export const healthz = route({
  operationId: 'getHealth',
  method: 'GET',
  url: '/healthz',
  tag: 'Operation',
  kind: 'public',
  summary: 'Is the process alive?',
  answers: { 200: { schema: Health, example: { status: 'ok' }, description: 'Alive' } },
  handler: () => ({ status: 'ok' }),
});

export const readyz = route({
  operationId: 'getReadiness',
  method: 'GET',
  url: '/readyz',
  tag: 'Operation',
  kind: 'public',
  summary: 'Can it take requests now?',
  description:
    'With `Authorization: Bearer` and the METRICS_TOKEN it says more: what lists promise on this database, and why.',
  answers: { 200: { schema: Ready, example: { status: 'ready' }, description: 'Ready' } },
  async handler({ store, writer, tail, promise, config, overload, incidents, retention }: OperationCalls, { request }) {
    const knows = bears(request.headers.authorization, config.metricsToken);
    const told = (cause: Cause | undefined) => (knows ? inWords(cause) : '');
    const problem = overloadProblem(overload);
    if (problem) throw problem;
    if (writer.full()) throw unavailable(`Too much is waiting to be stored.${told(incidents.cause)}`);
    await store.db.ping().catch((error: unknown) => {
      throw unavailable(`The database cannot be reached now.${told(causeOf(error))}`, error);
    });
    if (!incidents.storing) throw unavailable(`Nothing could be stored lately.${told(incidents.cause)}`);
    if (tail.age > UNREADY_MS) throw unavailable('New contents cannot be looked for.');
    if (!knows) return { status: 'ready' };
    return {
      status: 'ready',
      database: store.db.version,
      level: store.extended ? 'extended' : 'as-is',
      promise: promise().code,
      promise_text: promise().text,
      readable: tail.readableId,
      held_s: Math.ceil(tail.heldSeconds),
      ...(incidents.cause ? { trouble: inWords(incidents.cause).trim() } : {}),
      ...(retention.held ? { retention: retention.held.text } : {}),
    };
  },
});

export const metricsRoute = route({
  operationId: 'getMetrics',
  method: 'GET',
  url: '/metrics',
  tag: 'Operation',
  hidden: true,
  kind: 'public',
  summary: 'Numbers for Prometheus',
  description: 'With `Authorization: Bearer` and the METRICS_TOKEN. 404 while that is not set.',
  answers: { 200: { type: 'text/plain', example: 'restante_queue_rows 0\n', description: 'In its text format' } },
  problems: [401, 404],
  async handler({ metrics, config }: Pick<OperationCalls, 'metrics' | 'config'>, { request, reply }) {
    const page = metrics.page();
    if (!page) throw notFound('There are no metrics here: METRICS_TOKEN is not set.');
    if (!bears(request.headers.authorization, config.metricsToken))
      throw unauthenticatedBearer('Send the METRICS_TOKEN as Authorization: Bearer.');
    const { type, text } = await page;
    return reply
      .type(type)
      .serializer((body: unknown) => String(body))
      .send(text);
  },
});

// Longer than STALE_MS, after which lists answer 503: a balancer that takes a process out keeps senders from it too, and to
// receive needs no list. After an outage of some seconds senders come back as soon as contents are stored again.
const UNREADY_MS = 10_000;

const inWords = (cause: Cause | undefined): string => (cause ? ` ${cause.code}: ${cause.found}. ${cause.fix}` : '');

/** True for `Bearer TOKEN`, compared in constant time. */
const bears = (header: string | undefined, token: string | undefined): boolean =>
  Boolean(token && header?.startsWith('Bearer ')) &&
  sameSecret(Buffer.from(String(header).slice('Bearer '.length)), Buffer.from(String(token)));
