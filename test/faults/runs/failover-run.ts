// A replica is promoted behind one name, again and again, under load: nothing that the new primary has is skipped or leased twice at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../../src/store/open.ts';
import { addUser } from '../../../src/store/users.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import type { Program, World } from '../../support/world.ts';
import { underLoad } from './cluster-run.ts';
import type { Fate } from './pair.ts';

const FATES: readonly Fate[] = ['lagging', 'detached', 'back'];
// All webhooks, by two processes.
const PER_SECOND = 200;
// A revoked token must be dead by then.
const REVOKED_MS = 5_000;
// So long everybody works on before the old primary comes back.
const WORK_MS = 3_000;

/** Two processes, lists, a stream and consumers; what the old primary becomes goes round. */
export async function runFailover(
  world: World,
  { promotions, told }: { readonly promotions: number; told(line: string): void },
): Promise<Verdict> {
  const { pair } = world;
  if (!pair) throw new Error('there is no pair of servers');
  const { programs, finish } = await underLoad(world, 'Behind one name', PER_SECOND);
  const failures: string[] = [];
  let slowest = 0;
  for (let i = 0; i < promotions; i++) {
    const token = String(i).padStart(32, 'r');
    const id = await withStore(world, ({ db }) => addUser(db, { email: 'ana@example.org', phone: '', token }));
    const authorization = `Basic ${btoa(`${id}:${token}`)}`;
    const statuses = (programs: readonly Program[]) =>
      Promise.all(programs.map(async ({ url }) => (await fetch(`${url}/`, { headers: { authorization } })).status));
    await reaches(async () => (await statuses(programs)).every((status) => status === 200), 10_000);
    await sleep(1_000);
    const fate = FATES[i % FATES.length] as Fate;
    await pair.promote({ fate });
    const promoted = performance.now();
    await pair.root(pair.primary).query("UPDATE restante.tbluser SET token = '' WHERE id = ?", [id]);
    await reaches(async () => (await statuses(programs)).every((status) => status === 401), 2 * REVOKED_MS);
    const took = Math.round(performance.now() - promoted);
    slowest = Math.max(slowest, took);
    if (took > REVOKED_MS) failures.push(`a revoked token lived for ${took} ms after the promotion`);
    await sleep(WORK_MS);
    await pair.attach();
    told(`promotion ${i + 1} of ${promotions}, the old primary ${fate}: a revoked token died after ${took} ms`);
  }
  await sleep(1_000);
  const verdicts = await finish();
  return together({ figures: { promotions, 'revoked token died after ms': slowest }, failures }, ...verdicts);
}

async function withStore<T>(
  world: World,
  work: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>,
): Promise<T> {
  const store = await openStore(world.databaseUrl);
  return work(store).finally(() => store.close());
}

async function reaches(done: () => Promise<boolean>, withinMs: number): Promise<void> {
  for (const until = Date.now() + withinMs; Date.now() < until; await sleep(50)) if (await done()) return;
}
