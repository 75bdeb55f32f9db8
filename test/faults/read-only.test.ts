// restante erase where next to nothing may be written: in a container with a read-only root, and on a disk that is nearly full.
import { execFile } from 'node:child_process';
import { chownSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDesk } from '../consumers/calls.ts';
import { makeImage, NOBODY } from '../deploy/image.ts';
import { cli, kept } from '../support/cli.ts';
import { scratchFolder } from '../support/fetch-debs.ts';
import { fetchNode } from '../support/nodes.ts';
import { needsRoot } from '../support/tools.ts';
import { makeVolume } from '../support/volume.ts';

const TEXT = 'ana-the-unforgettable@example.org';
const MiB = 1024 * 1024;
let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder('/tmp/restante-readonly-');
});
afterAll(() => scratch?.remove());

const filesWith = (folder: string) =>
  readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(TEXT));

/** A database with so many contents of a MiB, one of them with the text. */
async function fill(folder: string, contents: number) {
  const desk = await openDesk(`sqlite:${folder}/restante.db`);
  for (let i = 0; i < contents; i++) await desk.send([`${i === 3 ? TEXT : ''}${'x'.repeat(MiB)}`]);
  await desk.service.close();
}

// With a root of its own that nobody may write to, and no /tmp in it, as `docker run --read-only` has it.
const CONFINED = `root=$1; shift
cd $root; mkdir -p usr/lib lib lib64 dev
mount --bind $root $root; cd $root
for each in usr/lib lib lib64 dev; do mount --rbind /$each $each; done
mount --bind data data
mount -o remount,bind,ro $root
exec chroot --userspec=${NOBODY.uid}:${NOBODY.gid} $root "$@"`;

test.for(['the Node of the image', 'this Node'])(
  'in a read-only container erase rewrites the file with the room that is beside it: %s',
  async (which, context) => {
    needsRoot(context);
    const node = which === 'this Node' ? process.execPath : await fetchNode('24', context);
    const image = kept(await makeImage(join(scratch.path, which.replaceAll(' ', '-')), node), (one) => one.open());
    // For a Node without SQLite of its own.
    for (const addon of which === 'this Node' ? ['@photostructure/sqlite', 'node-gyp-build'] : [])
      cpSync(`node_modules/${addon}`, join(image.root, 'restante/node_modules', addon), { recursive: true });
    // More than the cache in which SQLite makes the new file at first: 64 MiB, and some more.
    await fill(image.volume, 160);
    for (const name of readdirSync(image.volume)) chownSync(join(image.volume, name), NOBODY.uid ?? 0, NOBODY.gid ?? 0);
    expect(filesWith(image.volume)).not.toEqual([]);
    const { stdout, stderr } = await promisify(execFile)(
      'unshare',
      [
        '-m',
        ...['sh', '-ec', CONFINED, 'sh', image.root],
        ...['/usr/local/bin/node', '--disable-warning=ExperimentalWarning', '/restante/dist/main.js'],
        ...['erase', '--match', TEXT, '--yes'],
      ],
      { env: { PATH: process.env.PATH } },
    );
    expect([stdout, stderr]).toEqual([
      '1 contents and 0 refusals were erased\n',
      expect.stringMatching(/^Not reached by this:\n(?!.*(unused|rewritten))/s),
    ]);
    expect(filesWith(image.volume)).toEqual([]);
  },
);

test('where there is no room to rewrite the file, erase says so, and what that leaves; run again it does it', async (context) => {
  needsRoot(context);
  const volume = kept(await makeVolume(join(scratch.path, 'small'), 24), (one) => one.remove());
  const folder = join(volume.path, 'data');
  await fill(folder, 10);
  await volume.fill(2 * MiB);
  const erase = () => cli(['erase', '--match', TEXT, '--yes'], { DATABASE_URL: `sqlite:${folder}/restante.db` });
  const { code, out, err } = await erase();
  expect([code, out]).toEqual([1, '1 contents and 0 refusals were erased\n']);
  expect(err).toMatch(/^Not reached by this:\n(.*\n)* {2}\* unused parts of the file: it was not rewritten\n/);
  expect(err).toMatch(
    /\nrestante: erased, but the file was not rewritten: its disk.* is full .*Then run it again.*\n$/,
  );
  await volume.free();
  expect(await erase()).toMatchObject({ code: 0, out: '0 contents and 0 refusals were erased\n' });
  expect(filesWith(folder)).toEqual([]);
});
