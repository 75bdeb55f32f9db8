// One sender floods: how much later are the others answered? Each at a steady pace, however long an answer takes.
import { setTimeout as sleep } from 'node:timers/promises';
import { prepare } from '../support/database.ts';
import { BODY, median } from '../support/load.ts';
import { type Contender, startOurs } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';
import { percentile } from '../support/watch.ts';
import { connect, paced, post, type Wire } from '../support/wire.ts';

// What each of ten senders would have of 1,000 requests a second: the sender here has a share of the machine, too.
const SHARE = 100;
// A sender has so many connections at most, and leaves out what does not fit.
const MOST_CONNECTIONS = 200;
const FLOOD = 10 * SHARE;

/** Milliseconds until each request of the calm sender was answered, beside another one. */
async function beside(
  ours: Contender,
  calm: string,
  other: string,
  perSecond: number,
  seconds: number,
): Promise<number[]> {
  const took: number[] = [];
  const sender = async (path: string, pace: number, done: (status: number, ms: number) => void, until: number) => {
    const free: Wire[] = [];
    let open = 0;
    await paced(pace, until, async () => {
      if (free.length === 0 && open === MOST_CONNECTIONS) return;
      const idle = free.pop();
      if (!idle) open++;
      const wire = idle ?? (await connect(ours.url));
      const began = performance.now();
      const { status, at } = await wire.ask(post(path, '', BODY));
      done(status, at - began);
      free.push(wire);
    });
    for (const wire of free) wire.close();
  };
  const until = performance.now() + seconds * 1000;
  const flood = sender(other, perSecond, () => {}, until);
  await sleep(200);
  const told = (status: number, ms: number) => {
    if (status !== 200) throw new Error(`the calm sender got ${status}`);
    took.push(ms);
  };
  await Promise.all([flood, sender(calm, SHARE, told, until)]);
  return took;
}

export async function fair(
  server: string,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<void> {
  figures();
  for (const [limit, env] of [
    ['', {}],
    [`, RATE_PER_WEBHOOK=${SHARE}`, { RATE_PER_WEBHOOK: String(SHARE) }],
  ] as const) {
    const database = await prepare(server);
    const ours = await startOurs(database.url, env);
    const made = await fetch(`${ours.url}/webhooks`, {
      method: 'POST',
      headers: { Authorization: database.auth },
      body: JSON.stringify({ wh_name: 'calm' }),
    });
    const calm = new URL(((await made.json()) as { wh_url: string }).wh_url).pathname;
    const ratios: number[] = [];
    const p99: number[] = [];
    await beside(ours, calm, database.path, SHARE, 1);
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 ? [FLOOD, SHARE] : [SHARE, FLOOD];
      const found = new Map<number, number>();
      for (const pace of order)
        found.set(pace, percentile(await beside(ours, calm, database.path, pace, seconds), 0.99));
      p99.push(found.get(SHARE) ?? 0);
      ratios.push((found.get(FLOOD) ?? 0) / (found.get(SHARE) ?? 1));
    }
    figure({
      what: `p99 of a sender of ${SHARE}/s beside another one of ${SHARE}/s${limit}`,
      value: median(p99),
      unit: 'ms',
      digits: 1,
    });
    figure({
      what: `… beside one of ${FLOOD}/s: times as long`,
      value: median(ratios),
      unit: '',
      digits: 2,
      atMost: 2,
    });
    await ours.stop();
    await database.drop();
  }
}
