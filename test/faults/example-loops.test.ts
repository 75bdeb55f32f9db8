// The loops of examples/ in every language: no content is left out, though the server is killed, and so are they.
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { credentials, headOf, openBench } from '../examples/run.ts';
import { needs } from '../support/tools.ts';
import { createWorld, type Program, type World } from '../support/world.ts';

const LOOPS = { 'consume.sh': 'curl', 'consume.py': 'python3', 'consume.php': 'php', 'consume.ts': 'node' };
const FILES = Object.keys(LOOPS) as (keyof typeof LOOPS)[];
const BURST = 30;

let world: World;
let program: Program;
beforeAll(async () => {
  world = await createWorld('sqlite');
  program = await world.serve();
});
afterAll(() => world?.close());

const api = async (method: string, path: string, body: string) => {
  const answer = await fetch(program.url + path, { method, headers: { authorization: world.auth }, body });
  expect(answer.status).toBeLessThan(300);
  return (await answer.json()) as { id: number };
};
const sent: string[] = [];
const send = async (count: number) => {
  for (let i = 0; i < count; i++) {
    const content = `größer ${sent.length} "id":1,"content":"`;
    sent.push(`${(await api('POST', '/whcontent', content)).id} ${content}`);
  }
};

test('each goes on after kill -9 of the server, and after its own end', { timeout: 120_000 }, async (context) => {
  const bench = openBench();
  // The loop for the shell calls a program: this one prints what the others print.
  writeFileSync(join(bench.folder, 'handle'), '#!/bin/sh\necho "$1 $(cat "$2")"\n', { mode: 0o755 });
  const all = FILES.map((file) => {
    needs(LOOPS[file], context);
    const name = file.replace('.', '-');
    const [, command = ''] = headOf(`examples/${file}`).commands;
    const start = () => bench.start(command, credentials(program.url, world.auth), { orders: name });
    const runs: ReturnType<typeof start>[] = [];
    return {
      file,
      name,
      start: () => void runs.push(start()),
      stop: (signal: NodeJS.Signals) => runs.at(-1)?.kill(signal),
      /** As printed, by each of its lives. */
      lines: () => runs.map((run) => run.said().match(/^\d+ größer .*$/gm) ?? []),
    };
  });
  const until = (done: (one: (typeof all)[number]) => boolean | Promise<boolean>) =>
    vi.waitFor(async () => expect(await Promise.all(all.map(done))).not.toContain(false), {
      timeout: 30_000,
      interval: 50,
    });
  try {
    for (const { name } of all)
      await api('PUT', `/consumers/${name}`, '{"start":"earliest","lease_seconds":2,"max_attempts":50}');
    for (const one of all) one.start();
    await send(BURST);
    // In the middle of the others' work. The SDK asks for leases of 30 s, and what was on its way would come after these.
    await until(({ file, lines }) => lines().flat().length >= (file === 'consume.ts' ? BURST : BURST / 3));

    await program.kill();
    await sleep(300);
    await program.restart();
    await send(BURST);
    await until(({ lines }) => new Set(lines().flat()).size === sent.length);

    await all.at(-1)?.stop('SIGTERM');
    const sending = send(BURST);
    await sleep(100);
    for (const { stop } of all) await stop('SIGKILL');
    await sending;
    for (const one of all) one.start();
    await until(({ lines }) => new Set(lines().flat()).size === sent.length);

    for (const { file, lines } of all) {
      const [first = [], second = []] = lines();
      expect([...new Set([...first, ...second])].sort(byId), file).toEqual(sent);
      // Twice comes at most what one pull brought, when its ack was cut off.
      for (const life of [first, second]) expect(life.length - new Set(life).size, file).toBeLessThanOrEqual(20);
    }
    await until(async ({ name }) => {
      const answer = await fetch(`${program.url}/consumers/${name}`, { headers: { authorization: world.auth } });
      const { backlog, in_flight, dead } = (await answer.json()) as Record<string, number>;
      return backlog === 0 && in_flight === 0 && dead === 0;
    });
  } finally {
    await bench.close();
  }
});

const byId = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10);

test('the loops that stand in docs/polling.md too are the same there', async () => {
  const page = await readFile('docs/polling.md', 'utf8');
  for (const file of ['consume.sh', 'consume.py']) {
    const code = (text: string) => text.replace(/^(#.*\n)+/, '').trim();
    const block = new RegExp(`^\`\`\`\\w+ ${file}\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1];
    expect(code(await readFile(`examples/${file}`, 'utf8'))).toBe(code(block ?? ''));
  }
});
