// What a preset costs: ingest with HMAC-SHA256 and an event id of its own per request, in turns with ingest without a check.
import { createHmac } from 'node:crypto';
import { prepare } from '../support/database.ts';
import { BODY, load, median } from '../support/load.ts';
import { startOurs } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';

const KEY = '5e'.repeat(32);
const SECRET = 'the secret of a benchmark';

export async function preset(
  server: string,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<void> {
  const database = await prepare(server);
  const ours = await startOurs(database.url, { SECRETS_KEY: KEY });
  const made = await fetch(`${ours.url}/webhooks`, {
    method: 'POST',
    headers: { Authorization: database.auth },
    body: JSON.stringify({ wh_name: 'signed', preset: 'github', secrets: [SECRET] }),
  });
  const { wh_url } = (await made.json()) as { wh_url: string };
  const headers = {
    'Content-Type': 'application/json',
    'X-GitHub-Event': 'push',
    'X-Hub-Signature-256': `sha256=${createHmac('sha256', SECRET).update(BODY).digest('hex')}`,
  };
  const paths = { plain: database.path, signed: new URL(wh_url).pathname };
  figures();
  for (const connections of [64, 256]) {
    const ratios: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const perSecond = { plain: 0, signed: 0 };
      // Every other round the other way round: a table grows, and a machine grows warm.
      for (const name of round % 2 === 0 ? (['plain', 'signed'] as const) : (['signed', 'plain'] as const)) {
        const url = ours.url + paths[name];
        const result = await load({
          method: 'POST',
          body: BODY,
          headers,
          unique: 'X-GitHub-Delivery',
          url,
          connections,
          seconds,
        });
        perSecond[name] = result.perSecond;
      }
      if (round >= 0) ratios.push(perSecond.signed / perSecond.plain);
    }
    figure({
      what: `a preset, ${connections} connections: of ingest without one`,
      value: median(ratios),
      unit: '',
      digits: 2,
      atLeast: 0.85,
    });
  }
  await ours.stop();
  await database.drop();
}
