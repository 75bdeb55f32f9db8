// What cannot be written is told: a standard output that is full, a disk that is full, and a reader that has seen enough.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { type Desk, openDesk } from '../consumers/calls.ts';
import { folder, kept, start } from '../support/cli.ts';
import { type Database, emptyDatabase } from '../support/engines.ts';
import { freePort } from '../support/servers.ts';
import { needsRoot } from '../support/tools.ts';
import { makeVolume } from '../support/volume.ts';

const FULL = /^restante: the standard output could not be written: .*no space left on device.*\n$/m;
const MiB = 1024 * 1024;

let database: Database;
let desk: Desk;
let ids: number[];
let env: Record<string, string>;
beforeAll(async () => {
  database = await emptyDatabase('sqlite');
  desk = await openDesk(database.url);
  ids = await desk.send([Buffer.alloc(MiB, 'a'), Buffer.alloc(MiB, 'b'), 'small']);
  env = {
    DATABASE_URL: database.url,
    RESTANTE_URL: desk.service.url,
    RESTANTE_AUTH: `${desk.user.id}:${desk.user.token}`,
  };
});
afterAll(async () => {
  await desk?.service.close();
  await database?.drop();
});

/** The program with its standard output in a file. */
async function into(path: string, ...args: string[]) {
  const out = openSync(path, 'w');
  const child = spawn(process.execPath, ['dist/main.js', ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', out, 'pipe'],
  });
  closeSync(out);
  let err = '';
  child.stderr?.on('data', (text) => (err += text));
  const [code] = await once(child, 'close');
  return { code, err };
}
/** A disk of 2 MiB with so much room. */
async function disk(room: number, context: TestContext): Promise<string> {
  needsRoot(context);
  const volume = kept(await makeVolume(folder(), 2), (one) => one.remove());
  await volume.fill(room);
  return volume.path;
}

test.each([
  'export --user 1',
  'user list',
  'presets',
  'config --json',
  'webhook list --user 1',
  'why 1',
  'doctor',
  'pull --help',
  '--version',
])('a full standard output ends with a sentence and exit code 1: %s', async (line) => {
  const { code, err } = await into('/dev/full', ...line.split(' '));
  // The doctor has its own reason for 1, if it finds any.
  expect([code, err]).toEqual([1, line === 'doctor' ? expect.any(String) : expect.stringMatching(FULL)]);
  expect(err).not.toMatch(/ {4}at |were written/);
});

test('a standard output on a disk that takes the beginning of the only line is not whole either', async (context) => {
  const other = await desk.another();
  await other.send([Buffer.alloc(MiB, 'a')]);
  const path = join(await disk(MiB / 2, context), 'contents.ndjson');
  const { code, err } = await into(path, 'export', '--user', String(other.user.id));
  expect([code, err, statSync(path).size]).toEqual([1, expect.stringMatching(FULL), MiB / 2]);
});

test('whoever reads may have seen enough: that is no failure, and nothing more is written', async () => {
  for (const verb of ['export --user 1', 'pull seen --start earliest']) {
    const pipe = `${process.execPath} dist/main.js ${verb} | head -c 10 > /dev/null; echo "\${PIPESTATUS[0]}"`;
    const child = spawn('bash', ['--norc', '-c', pipe], { env: { PATH: process.env.PATH, ...env } });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
    await once(child, 'close');
    expect([verb, said]).toEqual([verb, '0\n']);
  }
  const again = await desk.pull('seen', { limit: 10 });
  expect(again.items.map(({ id }: { id: number }) => id)).toEqual(ids);
});

describe('a full disk', () => {
  test('has no file that looks whole after export --out', async (context) => {
    const out = join(await disk(1.5 * MiB, context), 'user');
    const child = start(['export', '--user', '1', '--out', out], env);
    const [code] = await once(child.child, 'close');
    expect([code, child.said()]).toEqual([
      1,
      expect.stringMatching(/^restante: \S+\/user\/contents\.ndjson could not be written: .*no space left.*\n$/),
    ]);
    expect(readdirSync(out)).toEqual([]);
  });

  test('has whole bodies alone after export --raw and pull --raw; what is not whole is not acked', async (context) => {
    for (const args of [
      ['export', '--user', '1', '--out', folder()],
      ['pull', 'raw', '--start', 'earliest'],
    ]) {
      const path = await disk(1.5 * MiB, context);
      const child = start([...args, '--raw', join(path, 'bodies')], env);
      const [code] = await once(child.child, 'close');
      expect([code, child.said()]).toEqual([
        1,
        expect.stringMatching(/restante: \S+\/bodies\/\d+ could not be written: .*no space left.*\n$/),
      ]);
      expect(readdirSync(join(path, 'bodies'))).toEqual([String(ids[0])]);
      expect(statSync(join(path, 'bodies', String(ids[0]))).size).toBe(MiB);
    }
    const again = await desk.pull('raw', { limit: 10 });
    expect(again.items.map(({ id }: { id: number }) => id)).toEqual(ids.slice(1));
  });

  test('acks nothing that pull could not print', async () => {
    const { code, err } = await into('/dev/full', 'pull', 'print', '--start', 'earliest');
    expect([code, err]).toEqual([1, expect.stringMatching(FULL)]);
    const again = await desk.pull('print', { limit: 10 });
    expect(again.items.map(({ id }: { id: number }) => id)).toEqual(ids);
  });

  test('under the log does not keep the service from receiving, nor from ending', async () => {
    const PORT = String(await freePort());
    const out = openSync('/dev/full', 'w');
    const child = kept(
      spawn(process.execPath, ['dist/main.js', 'serve'], {
        env: { PATH: process.env.PATH, DATABASE_URL: `sqlite:${folder()}/restante.db`, PORT },
        stdio: ['ignore', out, 'pipe'],
      }),
      (one) => one.kill('SIGKILL'),
    );
    closeSync(out);
    const alive = () =>
      fetch(`http://127.0.0.1:${PORT}/healthz`, { signal: AbortSignal.timeout(2_000) }).then(
        ({ status }) => status,
        () => 0,
      );
    for (let i = 0; i < 400 && (await alive()) !== 200; i++) await sleep(20);
    await sleep(200);
    expect(await alive()).toBe(200);
    child.kill('SIGTERM');
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
  });
});

test('an export into a folder that cannot be made is told in a sentence', async () => {
  const child = start(['export', '--user', '1', '--out', '/dev/null/x'], env);
  const [code] = await once(child.child, 'close');
  expect([code, child.said()]).toEqual([
    1,
    expect.stringMatching(/^restante: \/dev\/null\/x could not be made: .*\n$/),
  ]);
});
