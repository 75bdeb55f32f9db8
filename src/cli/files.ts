// Files that verbs write: each has its name when it is whole and on disk, and what cannot be written is told in a sentence.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Complaint } from './io.ts';

/** All of it: writeSync may write a part and says so by a number, which is how the end of a full disk looks. */
export function writeFully(fd: number, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

function told<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Complaint(`${what}: ${(error as Error).message}`);
  }
}

export const makeFolder = (path: string, mode = 0o700): void =>
  told(`${path} could not be made`, () => void mkdirSync(path, { recursive: true, mode }));

export interface Part {
  write(data: string | Uint8Array): void;
  /** It is whole: on disk, and then under its name. */
  keep(): void;
  /** It will not be whole: nothing is left of it. Does nothing to what was kept. */
  drop(): void;
}

/** Opens a file that is called `path.part` until it is whole. */
export function openPart(path: string, mode = 0o600): Part {
  const part = `${path}.part`;
  const attempt = <T>(work: () => T): T => told(`${path} could not be written`, work);
  let fd: number | undefined = attempt(() => openSync(part, 'w', mode));
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  return {
    write: (data) => attempt(() => writeFully(fd as number, data)),
    keep: () =>
      attempt(() => {
        fsyncSync(fd as number);
        close();
        renameSync(part, path);
      }),
    drop() {
      close();
      rmSync(part, { force: true });
    },
  };
}

/** Puts on disk which names are in a folder: until then a crash may take those that were kept. */
export const flushFolder = (path: string): void =>
  told(`${path} could not be written`, () => {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });

/** A whole file, or none. */
export function writeWhole(path: string, data: string | Uint8Array, mode?: number): void {
  const part = openPart(path, mode);
  try {
    part.write(data);
    part.keep();
  } finally {
    part.drop();
  }
}
