// A small disk of its own for a database, so that it can be full without harm to anybody else. A tmpfs: needs root.
import { mkdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { onExit, run } from './fetch-debs.ts';

export interface Volume {
  readonly path: string;
  /** Takes all the room that is left, but for `room` bytes. */
  fill(room?: number): Promise<void>;
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
    async fill(room = 0) {
      // Until it fails: the database takes some of it meanwhile.
      await run(['dd', 'if=/dev/zero', `of=${ballast}`, 'bs=64K']).catch((error: Error) => {
        if (!/No space left/.test(error.message)) throw error;
      });
      if (room > 0) await truncate(ballast, (await stat(ballast)).size - room);
    },
    free: () => rm(ballast, { force: true }),
    async remove() {
      forget();
      await unmount();
    },
  };
}
