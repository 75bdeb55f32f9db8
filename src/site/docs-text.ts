// The documentation as text: the introduction above the reference, every call as Markdown, and llms.txt.
import { basePath, type Config } from '../config/config.ts';
import type { Guide, Reader } from './guides.ts';
import { codeSamples, type Mine, receiverSample, sampleOf } from './samples.ts';

/** Escaped for Markdown: nothing in it is markup. */
const plain = (text: string): string => text.replace(/[\\`*_{}[\]()#+.!|<>~&-]/g, '\\$&').replace(/\s+/g, ' ');

const MOST = 10;
function yours({ userId, webhooks, content, consumers }: Mine): string[] {
  if (userId === null)
    return ['**Sign in** above with your id and token, and every example becomes yours and can be tried.'];
  const rows = webhooks
    .slice(0, MOST)
    .map(({ wh_id, wh_name, wh_url }) => `* ${plain(wh_name)} (${wh_id}): \`${wh_url}\``);
  const names = consumers.slice(0, MOST).map(({ name }) => `\`${name}\``);
  return [
    `You are **user ${userId}**, and the examples are yours. ${content ? `Your newest content is ${content.id}.` : 'You have no content yet.'}`,
    ...(rows.length > 0 ? [`Your webhooks:\n\n${rows.join('\n')}`] : []),
    ...(webhooks.length > MOST ? ['The others: `GET /webhooks`.'] : []),
    ...(names.length > 0 ? [`Your consumers: ${names.join(', ')}.`] : []),
    'Examples that change something use a webhook *Try me* and a consumer `try-me` of their own: trying them loses nothing that is in use.',
  ];
}

/** In Markdown. */
export function introduction(config: Config, guides: readonly Guide[], mine: Mine): string {
  const { serviceText, dashboardUrl } = config;
  const links = guides.map(({ name, title }) => `* [${title}](${basePath(config)}/docs/guides/${name})`);
  return [
    serviceText
      ? plain(serviceText)
      : 'Receives webhooks on public URLs, keeps them, and hands them out to clients that poll with the right credentials.',
    ...(dashboardUrl ? [`Your id and token are in [your dashboard](${dashboardUrl}).`] : []),
    ...yours(mine),
    `**Guides**\n\n${links.join('\n')}`,
  ].join('\n\n');
}

type Schema = Readonly<{
  type?: string | readonly string[];
  description?: string;
  enum?: readonly unknown[];
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
}>;

const membersOf = (schema: unknown): string[] => {
  const { properties = {}, required = [] } = (schema ?? {}) as Schema;
  return Object.entries(properties).map(([name, { type, description, enum: words }]) => {
    const kind = words ? words.map((word) => JSON.stringify(word)).join(' | ') : [type ?? 'any'].flat().join(' | ');
    return `* \`${name}\` (${kind}${required.includes(name) ? ', required' : ''})${description ? `: ${description}` : ''}`;
  });
};
const section = (title: string, lines: readonly string[]) =>
  lines.length > 0 ? [`${title}:\n\n${lines.join('\n')}`] : [];

/** Every call, with its parameters, an example in curl and what comes. */
export function referenceText(name: string, reader: Reader): string {
  const { routes, mine, publicUrl } = reader;
  const caller = { base: publicUrl, id: mine.id, token: mine.token };
  const calls = routes.map((route) => {
    const [curl] = codeSamples(sampleOf(route, mine), caller);
    const answers = Object.entries(route.answers).map(([status, { description, example }]) =>
      example === undefined
        ? `* ${status}: ${description}`
        : `* ${status}: ${description}: \`${JSON.stringify(example)}\``,
    );
    return [
      `## ${route.method} ${route.url.replace(/:(\w+)/g, '{$1}')}: ${route.summary}`,
      ...(route.description ? [route.description] : []),
      ...section('Query', membersOf(route.query)),
      ...section('Body, as JSON', membersOf(route.body)),
      `\`\`\`sh\n${curl?.source}\n\`\`\``,
      ...section('Answers', answers),
    ].join('\n\n');
  });
  const [send] = codeSamples(receiverSample(mine, publicUrl), caller);
  const receiver = `## ANY /in/{key}: Receive a webhook\n\nPublic: for providers. Any method, type, sub-path and query. Answered after the commit.\n\n\`\`\`sh\n${send?.source}\n\`\`\``;
  return `# ${name}: the reference\n\nBase URL: ${publicUrl}. Sign in with HTTP Basic: your user id and your token. Errors are \`application/problem+json\`; \`detail\` says what to do.\n\n${[...calls, receiver].join('\n\n')}\n`;
}

/** https://llmstxt.org: what is here, one line each. */
export function llmsText(name: string, text: string | undefined, guides: readonly Guide[], publicUrl: string): string {
  const lines = guides.map((guide) => `- [${guide.title}](${publicUrl}/docs/guides/${guide.name}.md): ${guide.lead}`);
  return `# ${name}

> Receives webhooks on public URLs, keeps them, and hands them out over an authenticated HTTP API to clients that poll.${text ? ` ${text}` : ''}

Fetch any of these with your credentials (\`curl -u ID:TOKEN\`), and the examples in it are yours: your id, your webhooks, your contents.

## Guides

${lines.join('\n')}

## Reference

- [Every call as text](${publicUrl}/docs/reference.md): parameters, curl and answers
- [OpenAPI 3.1](${publicUrl}/openapi.json): the same for programs
`;
}
