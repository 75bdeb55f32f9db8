// The loops of docs/polling.md, as they stand there: every content of a burst once and in order, and on after a kill.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test, vi } from 'vitest';
import { type Database, emptyDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { needs } from '../support/tools.ts';

/** The fenced blocks that have a file name, by that name. */
const files = new Map(
  [...readFileSync('docs/polling.md', 'utf8').matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(
    ([, name = '', text = '']) => [name, text],
  ),
);
const fileOf = (name: string): string => {
  const text = files.get(name);
  if (!text) throw new Error(`docs/polling.md has no block ${name}`);
  return text;
};

interface Handled {
  readonly id: number;
  readonly content: string;
}
/** A folder with one loop in it, as a reader of the page would have it. */
interface Loop {
  start(): void;
  /** SIGKILL, to all that it has started. */
  kill(): Promise<void>;
  /** Ids in the order in which they were handled, those that were handled twice too. */
  order(): number[];
  /** What is there in the end. */
  result(): Handled[];
  close(): Promise<void>;
}

const CONSUMER = 'orders';
// For grep and sed to stumble over.
const HARD = [
  '{"id":1,"content":"x"}',
  '"next_id":7,"reset":{"max_id":1}',
  '],"next_id":8',
  '{"lease":"z","items":[]}',
  "it's `hard` $(exit 1) \\n \\",
  'größer 漢字',
];
const BURST = 24;
const contentOf = (index: number) => `${HARD[index % HARD.length]} ${index}`;

function openLoop(command: readonly string[], file: string, env: Record<string, string>, ofStream: boolean): Loop {
  const folder = mkdtempSync(join(tmpdir(), 'restante-loop-'));
  const path = (name: string) => join(folder, name);
  const printed = command[0] !== 'sh';
  writeFileSync(path(file), fileOf(file));
  writeFileSync(path('theirs'), fileOf('handle'), { mode: 0o755 });
  // Theirs, and a note of when.
  writeFileSync(path('handle'), '#!/bin/sh\necho "$1" >> order && exec ./theirs "$@"\n', { mode: 0o755 });
  const lines = (name: string) => (existsSync(path(name)) ? readFileSync(path(name), 'utf8').split('\n') : []);
  const log = (): Handled[] =>
    lines('out').flatMap((line) => {
      const [, id, content = ''] = /^(\d+) (.*)$/.exec(line) ?? [];
      return id ? [{ id: Number(id), content }] : [];
    });
  let child: ChildProcess | undefined;

  async function kill(): Promise<void> {
    if (!child?.pid) return;
    const dead = once(child, 'close');
    process.kill(-child.pid, 'SIGKILL');
    child = undefined;
    await dead;
  }

  return {
    start() {
      const out = openSync(path('out'), 'a');
      const [program = '', ...args] = command;
      child = spawn(program, [...args, file, CONSUMER], {
        cwd: folder,
        env: { ...process.env, ...env },
        detached: true,
        stdio: ['ignore', out, out],
      });
      closeSync(out);
    },
    kill,
    order: () => (printed ? log().map(({ id }) => id) : lines('order').filter(Boolean).map(Number)),
    result() {
      if (printed) return [...new Map(log().map((one) => [one.id, one])).values()];
      const read = (id: string) => readFileSync(path(`inbox/${id}`), 'utf8');
      const content = (id: string): string => (ofStream ? JSON.parse(read(id)).content : read(id));
      return existsSync(path('inbox'))
        ? readdirSync(path('inbox')).map((id) => ({ id: Number(id), content: content(id) }))
        : [];
    },
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe.concurrent('the loops of docs/polling.md', () => {
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await emptyDatabase('sqlite');
    service = await startService(database.url);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const call = (user: TestUser, method: string, path: string, body: string) =>
    fetch(service.url + path, { method, headers: { authorization: user.auth }, body });

  async function send(user: TestUser, from: number, count: number): Promise<Handled[]> {
    const contents = Array.from({ length: count }, (_, i) => contentOf(from + i));
    return Promise.all(
      contents.map(async (content) => {
        const answer = (await (await call(user, 'POST', '/whcontent', content)).json()) as { id: number };
        return { id: answer.id, content };
      }),
    );
  }

  async function holds(file: string, command: readonly string[]): Promise<void> {
    const user = await service.user();
    const path = `/consumers/${CONSUMER}`;
    await call(user, 'PUT', path, '{"start":"earliest","lease_seconds":1}');
    const env = { RESTANTE_URL: service.url, RESTANTE_AUTH: `${user.id}:${user.token}` };
    const loop = openLoop(command, file, env, file === 'stream.sh');
    const until = (done: () => unknown) => vi.waitFor(async () => expect(await done()).toBe(true), { timeout: 15_000 });
    try {
      loop.start();
      const sent = await send(user, 0, BURST);
      await until(() => loop.order().length >= BURST / 3);
      await loop.kill();
      const before = loop.order();
      sent.push(...(await send(user, BURST, BURST)));
      // What it had in hand comes first only when it comes again.
      await until(async () => {
        const state = await (await fetch(service.url + path, { headers: { authorization: user.auth } })).json();
        return (state as { in_flight: number }).in_flight === 0;
      });
      loop.start();
      await until(() => loop.result().length === sent.length);
      sent.push(...(await send(user, 2 * BURST, 2)));
      await until(() => loop.result().length === sent.length);

      const byId = (a: Handled, b: Handled) => a.id - b.id;
      expect(loop.result().sort(byId)).toEqual(sent.sort(byId));
      const order = loop.order();
      const ids = sent.map(({ id }) => id);
      expect([...new Set(order)]).toEqual(ids);
      // Nothing comes twice but what was under way when it was killed.
      expect(new Set(before).size).toBe(before.length);
      const after = order.slice(before.length);
      expect(new Set(after).size).toBe(after.length);
    } finally {
      await loop.close();
    }
  }

  const SHELL = ['list.sh', 'consume.sh', 'stream.sh'];
  test.each(SHELL)('%s', async (file) => holds(file, ['sh']));
  test('consume.mjs', async () => holds('consume.mjs', [process.execPath]));
  test('consume.py', async (context: TestContext) => holds('consume.py', [needs('python3', context)]));
});
