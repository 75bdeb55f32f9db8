// The standard output: written to its end, and when that fails, it is told.
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { writeFully } from './files.ts';
import { Complaint, Enough, type Io } from './io.ts';

/** Output to `stream`, which is the file descriptor `fd`. What was lost is never forgotten; what comes after it is tried. */
export function createOut(stream: Writable, fd: number): Pick<Io, 'out' | 'written'> {
  let failure: NodeJS.ErrnoException | undefined;
  const failed = (error: NodeJS.ErrnoException | null | undefined): void => {
    failure ??= error ?? undefined;
  };
  stream.on('error', failed);
  // Node's stream to a file takes a line of which the beginning was written for a whole one, and the end is lost untold.
  const isFile = fstatSync(fd).isFile();
  return {
    out(data) {
      if (!isFile) return void stream.write(data);
      try {
        writeFully(fd, data);
      } catch (error) {
        failed(error as Error);
      }
    },
    async written() {
      await new Promise<void>((resolve) => {
        stream.write('', (error) => {
          failed(error);
          resolve();
        });
      });
      if (failure?.code === 'EPIPE') throw new Enough();
      if (failure) throw new Complaint(`the standard output could not be written: ${failure.message}`);
    },
  };
}
