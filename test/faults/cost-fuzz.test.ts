// The costliest requests that a seeded search finds, over every route, preset and kind of rule: each within the bounds of one request.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  badness,
  type CostSearch,
  createSearch,
  type Field,
  fieldsOf,
  furnishTenant,
  inWords,
  MOST_ALLOCATED,
} from '../security/cost-search.ts';
import { type Database, migratedDatabase } from '../support/engines.ts';
import { type Metered, startMetered } from '../support/metered.ts';
import { LONGEST_TURN_MS, slownessNow } from '../support/stalls.ts';
import { newUser } from '../support/users.ts';

const SEED = Number(process.env.RESTANTE_FUZZ_SEED ?? 16);
/** Requests for each route, preset and kind of rule. */
const TRIES = Number(process.env.RESTANTE_COST_TRIES ?? 6);
// Of what is allowed. Such a request is measured again, alone: what goes on beside it may make it look costly, never cheap.
const SUSPECT = 0.9;

let database: Database;
let program: Metered;
let search: CostSearch;
let fields: Field[];
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  const { auth } = await newUser(database.url);
  program = await startMetered(database.url);
  const tenant = await furnishTenant(program.url, auth);
  search = createSearch(program, tenant);
  fields = await fieldsOf(program.url, tenant);
});
afterAll(async () => {
  search?.close();
  await program?.stop();
  await database?.drop();
});

test(`no request takes more than ${LONGEST_TURN_MS} ms of the main thread at a time, or ${MOST_ALLOCATED} bytes`, {
  timeout: 600_000,
}, async () => {
  const unreached: string[] = [];
  const over: string[] = [];
  for (const field of fields) {
    const found = await search.climb(field, TRIES, SEED);
    // What is refused before it costs anything says nothing of what it costs.
    if (found.every(({ made }) => !made)) unreached.push(field.name);
    const [worst] = found.sort((a, b) => badness(b.cost) - badness(a.cost));
    if (!worst || badness(worst.cost) < SUSPECT) continue;
    const { cost, ...alone } = await search.confirm(field, worst.choices);
    const slow = cost.turnMs > LONGEST_TURN_MS && cost.turnMs > LONGEST_TURN_MS * slownessNow();
    if (slow || cost.allocated > MOST_ALLOCATED)
      over.push(`${inWords({ ...alone, cost })}: ${await search.explain(field, worst.choices)}`);
  }
  expect(unreached).toEqual([]);
  expect(over).toEqual([]);
});
