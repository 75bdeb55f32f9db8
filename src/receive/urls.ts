// How providers write the URL they sign: HubSpot decodes twelve codes of it, Twilio signs it with or without a port.
import { parse, stringify } from 'node:querystring';

const HUBSPOT = /%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi;
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/)((?:[^/?#]*@)?)([^/?#]*?)((?::[0-9]*)?)((?:[/?#].*)?)$/is;

/** https://developers.hubspot.com: only these characters are decoded, all others stay as they were sent. */
export const hubspotUrl = (url: string): string =>
  url.replace(HUBSPOT, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** The URL as received, then as WHATWG writes it, then with its query written anew: each without and with a port. */
export function twilioUrls(url: string): readonly string[] {
  const forms = new Set([...withAndWithoutPort(url)]);
  const normal = URL.canParse(url) ? new URL(url).href : url;
  for (const form of withAndWithoutPort(normal)) forms.add(form);
  for (const form of withAndWithoutPort(normal)) forms.add(withOldQuery(form));
  return [...forms];
}

function withAndWithoutPort(url: string): readonly string[] {
  const [, scheme = '', user = '', host = '', port = '', rest = ''] = PARTS.exec(url) ?? [];
  if (scheme === '') return [url];
  const usual = scheme.toLowerCase() === 'https://' ? ':443' : ':80';
  return [scheme + user + host + rest, scheme + user + host + (port || usual) + rest];
}

/** Some of Twilio's back ends escape a query the way Node's old querystring module does. */
function withOldQuery(url: string): string {
  const start = url.indexOf('?');
  if (start < 0 || start === url.length - 1) return url;
  return `${url.slice(0, start)}?${stringify(parse(url.slice(start + 1)))}`;
}
