// Records what a program does with the files of a folder, in one order, by a small library that is preloaded into it: record.c.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../fetch-debs.ts';
import { needs, type Skips } from '../tools.ts';

const SOURCE = fileURLToPath(new URL('./record.c', import.meta.url));
// In the order of record.c.
const KINDS = [
  'create',
  'write',
  'truncate',
  'sync',
  'synced',
  'unlink',
  'rename',
  'link',
  'mkdir',
  'rmdir',
  'answer',
] as const;

export interface Entry {
  readonly kind: (typeof KINDS)[number];
  readonly thread: number;
  /** The file or folder that it is done to, by its inode; of an answer the port that gets it. */
  readonly node: number;
  /** Of a write where it begins, of a truncation the new size. */
  readonly offset: number;
  /** What is created, made or removed. */
  readonly path: string;
  /** What is written. */
  readonly data: Buffer;
  /** Of a rename or a link the new path. */
  readonly to: string;
}

export interface Recording {
  /** What the environment of a program needs so that it is recorded. */
  readonly env: Readonly<Record<string, string>>;
  /** How much is recorded by now; `at` of entriesOf() tells what had happened by then. */
  now(): number;
  /** All entries, each with the place where it ends. */
  entries(): { readonly entry: Entry; readonly at: number }[];
}

/** The library, compiled. Without a compiler the test ends. */
export async function compileRecorder(folder: string, test: Skips): Promise<string> {
  const library = join(folder, 'record.so');
  await run([needs('cc', test), '-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl', '-lpthread']);
  return library;
}

/** Of what is done below `folder` from now on. */
export function startRecording(library: string, folder: string, trace: string): Recording {
  return {
    env: { LD_PRELOAD: library, RECORD_FOLDER: folder, RECORD_TO: trace },
    now: () => (existsSync(trace) ? statSync(trace).size : 0),
    entries: () => parse(readFileSync(trace)),
  };
}

const HEADER_BYTES = 32;

function parse(trace: Buffer): { entry: Entry; at: number }[] {
  const entries: { entry: Entry; at: number }[] = [];
  for (let at = 0; at < trace.length; ) {
    const word = (n: number) => trace.readUInt32LE(at + 4 * n);
    const long = (n: number) => Number(trace.readBigUInt64LE(at + 8 * n));
    const [kind, thread, name, bytes] = [KINDS[word(0)], word(1), at + HEADER_BYTES, word(3)];
    const [node, offset, data] = [long(2), long(3), name + word(2)];
    if (!kind) throw new Error(`there is no kind ${word(0)} of entry, at ${at}`);
    const end = data + bytes;
    const two = kind === 'rename' || kind === 'link';
    const path = two ? trace.toString('utf8', data, data + offset - 1) : trace.toString('utf8', name, data);
    const to = two ? trace.toString('utf8', data + offset, end) : '';
    entries.push({ entry: { kind, thread, node, offset, path, to, data: trace.subarray(data, end) }, at: end });
    at = end;
  }
  return entries;
}
