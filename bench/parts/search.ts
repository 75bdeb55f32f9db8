// What searches in the bodies of one user cost: how long a call takes, and how long it keeps the event loop.
import { insertContents, type NewContent } from '../../src/store/contents.ts';
import { openStore } from '../../src/store/open.ts';
import { searchContents } from '../../src/store/search.ts';
import { watchStalls } from '../../test/support/stalls.ts';
import { prepare } from '../support/database.ts';
import { figure, figures } from '../support/table.ts';

const MiB = 1024 * 1024;
const SIZES = [10 * MiB, 16 * 1024];
// One letter throughout is what a term of that letter costs most in.
const BODIES: Readonly<Record<string, string>> = {
  letters: 'a',
  text: '{"id":"evt_1","object":"charge","amount":1200},',
};
const TERMS: Readonly<Record<string, string>> = {
  '7 bytes': 'missing',
  '900 bytes': `${'a'.repeat(899)}b`,
  '900 bytes, found in the end only': `b${'a'.repeat(899)}`,
};

export async function search(server: string, { megabytes }: { readonly megabytes: number }): Promise<void> {
  const database = await prepare(server);
  const store = await openStore(database.url);
  figures();
  let wh_id = 0;
  for (const [kind, text] of Object.entries(BODIES))
    for (const size of SIZES) {
      wh_id++;
      const content = Buffer.alloc(size, text);
      const own = {
        user_id: database.userId,
        api: 1,
        dt: '',
        received_ms: Date.now(),
        ip: '',
        head: null,
        judged: null,
      } as const;
      const row: NewContent = { ...own, wh_id, content };
      const atOnce = size < MiB ? 64 : 1;
      const ids: number[] = [];
      while (ids.length * size < megabytes * MiB) ids.push(...(await insertContents(store, Array(atOnce).fill(row))));
      const [from, to] = [ids[0] as number, ids.at(-1) as number];
      for (const [name, q] of Object.entries(TERMS)) {
        const stalls = watchStalls();
        let [calls, longest] = [0, 0];
        for (let at = from; at <= to; calls++) {
          const began = performance.now();
          const options = { wh_id, from: at, to, order: 'asc', limit: 20, maxBytes: 8 * MiB } as const;
          at = (await searchContents(store, database.userId, options, { q: Buffer.from(q) })).upTo + 1;
          longest = Math.max(longest, performance.now() - began);
        }
        const what = `${megabytes} MiB of ${kind}, ${size / 1024} KiB each, a term of ${name}`;
        figure({ what: `${what}: calls`, value: calls, unit: '', digits: 0 });
        figure({ what: `${what}: the longest`, value: longest, unit: 'ms', digits: 0, atMost: 2_000 });
        figure({ what: `${what}: turn`, value: stalls.worst() / stalls.slowness, unit: 'ms', digits: 0, atMost: 100 });
      }
    }
  await store.close();
  await database.drop();
}
