// Fills the examples of the API document: code samples in four languages, and the things of whoever reads it.

import type { Mine } from './docsmine.ts';
import type { Route } from './route.ts';
import { codeSamples } from './samples.ts';
import { receiverSample, type Sample, sampleOf, TAKEN } from './samplevalues.ts';

interface Media {
  example?: unknown;
  schema?: { readonly properties?: Readonly<Record<string, unknown>>; examples?: unknown };
}
interface Operation {
  parameters?: {
    name: string;
    in: string;
    example?: unknown;
    examples?: unknown;
    schema?: { examples?: unknown; enum?: unknown[] };
  }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
  'x-codeSamples'?: unknown;
}
export interface Document {
  info: { description?: string };
  paths: Record<string, Record<string, Operation>>;
}

/** A copy of the document with examples that work for its reader. */
export function personalised(document: Document, routes: readonly Route[], mine: Mine, base: string): Document {
  const copy = structuredClone(document);
  const caller = { base, id: mine.id, token: mine.token };
  const fill = (path: string, method: string, sample: Sample) => {
    const operation = copy.paths[path]?.[method.toLowerCase()];
    if (!operation) return;
    operation['x-codeSamples'] = codeSamples(sample, caller);
    for (const parameter of operation.parameters ?? []) {
      const value = sample.params[parameter.name];
      const [first] = parameter.schema?.enum ?? [];
      // Scalar would send the first word of each: a list would be narrowed by what nobody chose.
      if (value === undefined && first !== undefined)
        parameter.examples = { unused: { value: first, 'x-disabled': true } };
      if (value === undefined && parameter.in !== 'path') continue;
      delete parameter.schema?.examples;
      // Nothing is put there that would have to be made first: nobody ends a webhook of his by a click.
      if (value === TAKEN) {
        delete parameter.example;
        if (mine.webhook && mine.userId === null) parameter.example = mine.webhook.wh_id;
      } else if (value !== undefined) parameter.example = value;
    }
    const media = operation.requestBody?.content['application/json'];
    if (media && sample.body !== undefined) media.example = forDocument(sample.body, mine);
    for (const [status, answer] of Object.entries(operation.responses)) {
      const given = answer.content?.['application/json'];
      const own = status === '200' ? answerOf(`${method} ${path}`, mine) : undefined;
      if (given && own !== undefined) given.example = own;
    }
  };
  for (const route of routes) fill(route.url.replace(/:(\w+)/g, '{$1}'), route.method, sampleOf(route, mine));
  fill('/in/{key}', 'POST', receiverSample(mine, base));
  return copy;
}

const LEASE = 'AQGS5f2Yv6kBARs2AQI';
/** What a call before would bring, as an example of it. */
function forDocument(body: unknown, mine: Mine): unknown {
  const text = JSON.stringify(body, (name, value) =>
    value === TAKEN ? (name === 'lease' ? LEASE : (mine.content?.id ?? 27)) : value,
  );
  return JSON.parse(text);
}

/** What the user would be answered now, where that is known. */
function answerOf(call: string, { userId, webhooks, content, consumers, refusal }: Mine): unknown {
  if (userId === null) return undefined;
  switch (call) {
    case 'GET /':
      return { username: String(userId) };
    case 'GET /webhooks':
      return { webhooks };
    case 'GET /whcontent':
      return { whcontent: content ? [content] : [], next_id: (content?.id ?? 0) + 1 };
    case 'GET /whcontent/{id}':
      return content;
    case 'GET /consumers':
      return { consumers };
    case 'GET /consumers/{name}':
      return consumers[0];
    case 'GET /refusals':
      return refusal && { refusals: [refusal], next_id: refusal.id + 1 };
    case 'GET /refusals/{id}':
      return refusal;
    default:
      return undefined;
  }
}
