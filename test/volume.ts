// A small disk of its own for a database, so that it can be full without harm to anybody else. A tmpfs: needs root.
import { statfsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onExit, run } from './fetch-debs.ts';

export interface Volume {
  readonly path: string;
  /** Takes all the room that is left, but for `bytes`. */
  fill(bytes?: number): Promise<void>;
  /** Gives it back. */
  free(): Promise<void>;
  remove(): Promise<void>;
}

export async function makeVolume(path: string, megabytes: number): Promise<Volume> {
  await mkdir(path, { recursive: true });
  await run(['mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', path]);
  const ballast = join(path, 'ballast');
  const unmount = () => run(['umount', '-l', path]);
  const forget = onExit(() => void unmount());
  return {
    path,
    async fill(bytes = 0) {
      const { bavail, bsize } = statfsSync(path);
      await run(['fallocate', '-l', String(Math.max(bsize, bavail * bsize - bytes)), ballast]);
    },
    free: () => rm(ballast, { force: true }),
    async remove() {
      forget();
      await unmount();
    },
  };
}
