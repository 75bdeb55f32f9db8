// Folders and files of an embedded database that are there after a power cut: those that SQLite does not take care of.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and those above it. A folder that is new is on disk for certain once the one above it was flushed. One by one: Node's
 * own `recursive` never comes to an end where the system makes no folder for a reason of its own, as in /proc.
 */
export function makeFlushedFolder(path: string, mode = 0o700): void {
  const missing: string[] = [];
  for (let one = resolve(path); !existsSync(one); one = dirname(one)) missing.unshift(one);
  for (const one of missing) {
    try {
      mkdirSync(one, { mode });
    } catch (error) {
      // Another process has just made it.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    flushFolder(dirname(one));
  }
}

/** Makes a file (0600) that has all of its text whenever it is there. Of two processes at once one makes it; one that is there stays. */
export function makeFlushedFile(path: string, text: string): void {
  const whole = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(whole, text, { flag: 'wx', mode: 0o600, flush: true });
  try {
    linkSync(whole, path);
  } catch (error) {
    // Some file systems have no links; then two processes that start for the first time at once are not told apart.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') renameSync(whole, path);
  } finally {
    rmSync(whole, { force: true });
  }
  flushFolder(dirname(path));
}

/** What was written to it, or cut off from it, by whomever, is on disk then. */
export async function flushFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.sync().finally(() => file.close());
}

function flushFolder(path: string): void {
  try {
    const folder = openSync(path, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch {
    // Windows flushes no folders, and we may not be allowed to read this one.
  }
}
