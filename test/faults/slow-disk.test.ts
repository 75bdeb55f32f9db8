// A disk whose flush takes long, below SQLite: senders wait for it, as promised, and nobody else does.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { run } from '../support/fetch-debs.ts';
import { needs } from '../support/tools.ts';
import { createWorld } from '../support/world.ts';

const SOURCE = fileURLToPath(new URL('../support/disk/slow.c', import.meta.url));
// A look at 50: FLUSH_MS=50. More tells a wait for the disk from a slow machine.
const FLUSH_MS = Number(process.env.FLUSH_MS ?? 400);
const SENDERS = 8;
const READS = 120;

test(`/healthz and lists wait for no flush of ${FLUSH_MS} ms`, { timeout: 120_000 }, async (context) => {
  const world = await createWorld('sqlite');
  try {
    const library = join(world.folder, 'slow.so');
    await run([needs('cc', context), '-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl']);
    const { path } = await world.webhook('slow');
    const program = await world.serve({ LD_PRELOAD: library, FLUSH_MS: String(FLUSH_MS) });
    let over = false;
    const sent: number[] = [];
    const senders = Array.from({ length: SENDERS }, async () => {
      while (!over) {
        const began = performance.now();
        const { status } = await fetch(program.url + path, { method: 'POST', body: 'x'.repeat(900) });
        expect(status).toBe(200);
        sent.push(performance.now() - began);
      }
    });
    const times: Record<'healthz' | 'list', number[]> = { healthz: [], list: [] };
    async function timed(kind: keyof typeof times, target: string): Promise<void> {
      const began = performance.now();
      const answer = await fetch(program.url + target, { headers: { authorization: world.auth } });
      await answer.text();
      expect(answer.status).toBe(200);
      times[kind].push(performance.now() - began);
    }
    for (let i = 0; i < READS; i++) {
      await timed('healthz', '/healthz');
      await timed('list', '/whcontent?whid=all&id=0&limit=20');
    }
    over = true;
    await Promise.all(senders);
    const share = (values: readonly number[], part: number) =>
      [...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? 0;
    const figures = {
      sent: sent.length,
      sender: share(sent, 0.5),
      healthz: [share(times.healthz, 0.5), share(times.healthz, 0.99)],
      list: [share(times.list, 0.5), share(times.list, 0.99)],
    };
    console.log(JSON.stringify(figures));
    // The senders do wait: the disk is slow.
    expect(share(sent, 0.1)).toBeGreaterThan(FLUSH_MS * 0.9);
    for (const kind of ['healthz', 'list'] as const)
      expect([kind, share(times[kind], 0.9) < FLUSH_MS / 2]).toEqual([kind, true]);
  } finally {
    await world.close();
  }
});
