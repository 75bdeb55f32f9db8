// What single requests cost at most: a seeded search over every route, preset and kind of rule, and the ten worst that it finds.
import {
  badness,
  createSearch,
  type Found,
  fieldsOf,
  furnishTenant,
  inWords,
} from '../../test/security/cost-search.ts';
import { startMetered } from '../../test/support/metered.ts';
import { prepare } from '../support/database.ts';

const WORST = 10;

/** `tries`: requests for each route, preset and kind of rule. */
export async function costs(server: string, { tries, seed }: { readonly tries: number; readonly seed: number }) {
  const database = await prepare(server);
  const program = await startMetered(database.url);
  const tenant = await furnishTenant(program.url, database.auth);
  const search = createSearch(program, tenant);
  const found: Found[] = [];
  for (const field of await fieldsOf(program.url, tenant)) {
    const [worst, ...others] = (await search.climb(field, tries, seed)).sort(
      (a, b) => badness(b.cost) - badness(a.cost),
    );
    if (!worst) continue;
    // One of each: else the ten worst would be one request and its likes.
    const alone = await search.confirm(field, worst.choices);
    const [greedy = worst] = [worst, ...others].sort((a, b) => perByte(b) - perByte(a));
    found.push(alone, greedy);
  }
  const table = (title: string, by: (one: Found) => number) => {
    const fields = new Set<string>();
    const some = found.sort((a, b) => by(b) - by(a)).filter(({ field }) => !fields.has(field) && fields.add(field));
    console.log(
      `${title} (seed ${seed}):\n${some
        .slice(0, WORST)
        .map((one) => `  ${inWords(one)}`)
        .join('\n')}`,
    );
  };
  table('the ten costliest requests', ({ cost }) => badness(cost));
  table('the ten that cost most CPU for each byte sent', perByte);
  search.close();
  await program.stop();
  await database.drop();
}

const perByte = ({ cost, sent }: Found): number => cost.cpuMs / sent;
