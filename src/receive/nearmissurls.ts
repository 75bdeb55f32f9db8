// Forms that the public URL of a request may have had at the provider, when ours is not the one it signed.
import { headerOf, type Incoming } from './incoming.ts';

export interface UrlVariant {
  readonly url: string;
  /** What is different, to be read after `would verify `. */
  readonly words: string;
  /** PUBLIC_URL is to blame, and not what was pasted at the provider. */
  readonly ours: boolean;
}

/** One choice of how a part of the URL may look; no words: as we have it. */
interface Choice {
  readonly value: string;
  readonly words: string;
}

const PARTS = /^(https?):\/\/([^/?#]*?)(:[0-9]+)?(\/[^?#]*)?(\?.*)?$/is;
const HOST = /^([A-Za-z0-9.-]{1,100}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$/;
const PREFIX = /^\/[A-Za-z0-9._~/-]{1,100}$/;
const MOST = 200;

/** Those with the fewest differences first. What proxies say in headers is only tried here, where nothing depends on it. */
export function urlVariants(incoming: Incoming): readonly UrlVariant[] {
  const [whole, scheme = '', host = '', port = '', path = '', query = ''] = PARTS.exec(incoming.publicUrl) ?? [];
  if (!whole) return [];
  const same = { value: '', words: '' };
  const other = scheme.toLowerCase() === 'https' ? 'http' : 'https';
  const schemes: Choice[] = [
    { ...same, value: scheme },
    { value: other, words: `with ${other}://` },
  ];
  const places: Choice[] = [{ ...same, value: host + port }, ...placesOf(incoming, host, port)];
  const paths: Choice[] = [{ ...same, value: path }, ...pathsOf(incoming, path)];
  const variants = schemes.flatMap((a) =>
    places.flatMap((b) =>
      paths.map((c) => {
        const words = [a, b, c].flatMap((choice) => choice.words || []);
        const ours = c.words === '' || a.words !== '' || b.words !== '' || !c.words.includes('slash');
        return {
          url: `${a.value}://${b.value}${c.value}${query}`,
          words: words.join(' and '),
          ours,
          count: words.length,
        };
      }),
    ),
  );
  return variants
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.count - b.count)
    .slice(0, MOST);
}

function placesOf(incoming: Incoming, host: string, port: string): readonly Choice[] {
  const choices = new Map<string, string>();
  const add = (value: string, words: string) => {
    if (value !== host + port && !choices.has(value)) choices.set(value, words);
  };
  const forwarded = (headerOf(incoming, 'x-forwarded-port') ?? '').trim();
  if (port) add(host, `without ${port}`);
  for (const usual of [':443', ':80']) add(host + usual, `with ${usual}`);
  if (/^[0-9]{1,5}$/.test(forwarded)) add(`${host}:${forwarded}`, `with :${forwarded}`);
  for (const name of ['host', 'x-forwarded-host', 'x-original-host']) {
    const said = HOST.exec((headerOf(incoming, name) ?? '').split(',')[0]?.trim() ?? '');
    if (!said) continue;
    const [whole, bare = '', itsPort = ''] = said;
    if (bare.toLowerCase() === host.toLowerCase()) add(host + itsPort, itsPort ? `with ${itsPort}` : `without ${port}`);
    else {
      add(whole, `with the host ${whole}`);
      if (itsPort) add(bare, `with the host ${bare}`);
    }
  }
  return [...choices].map(([value, words]) => ({ value, words }));
}

function pathsOf(incoming: Incoming, path: string): readonly Choice[] {
  const choices: Choice[] = [];
  // A prefix that PUBLIC_URL has and the provider does not: at most what stands before /in/, else up to three steps.
  const steps = path.split('/').slice(1);
  const key = steps.lastIndexOf('in');
  const most = key > 0 ? key : key === 0 ? 0 : Math.min(3, steps.length - 1);
  for (let count = most; count > 0; count--)
    choices.push({ value: `/${steps.slice(count).join('/')}`, words: `without /${steps.slice(0, count).join('/')}` });
  // And one that a proxy takes away before it comes to us.
  const prefix = (headerOf(incoming, 'x-forwarded-prefix') ?? '').trim().replace(/\/+$/, '');
  if (PREFIX.test(prefix)) choices.push({ value: prefix + path, words: `with ${prefix} before the path` });
  for (const name of ['x-original-uri', 'x-forwarded-uri', 'x-original-url', 'x-rewrite-url']) {
    const said = (headerOf(incoming, name) ?? '').split('?')[0] ?? '';
    if (!said.endsWith(path) || said === path) continue;
    const before = said.slice(0, -path.length);
    if (PREFIX.test(before)) choices.push({ value: said, words: `with ${before} before the path` });
  }
  if (path.endsWith('/')) choices.push({ value: path.slice(0, -1), words: 'without the slash at the end' });
  else choices.push({ value: `${path}/`, words: 'with a slash at the end' });
  return choices;
}
