// What stands above the calls in the reference: what this is, whose examples these are, where to read on.
import type { Config } from '../config.ts';
import type { Mine } from './docsmine.ts';
import { basePath } from './docspage.ts';
import type { Guide } from './guides.ts';

/** As text of Markdown: nothing in it is markup. */
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
    'Examples that change something use a webhook *Try me* and a consumer `try-me` of their own: nothing that is in use is lost by trying.',
  ];
}

/** In Markdown. */
export function introduction(config: Config, guides: readonly Guide[], mine: Mine): string {
  const { serviceText, dashboardUrl } = config;
  const links = guides.map(({ name, title }) => `* [${title}](${basePath(config)}/docs/guides/${name})`);
  return [
    serviceText
      ? plain(serviceText)
      : 'Receives webhooks on public URLs, keeps them, and hands them out to whoever polls with the right credentials.',
    ...(dashboardUrl ? [`Your id and token are in [your dashboard](${dashboardUrl}).`] : []),
    ...yours(mine),
    `**Guides**\n\n${links.join('\n')}`,
  ].join('\n\n');
}
