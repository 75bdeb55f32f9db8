// Cuts the power at any moment of a recording, and tells what a disk may hold then: all that was flushed, and of the rest, by a
// seed, nothing, all, a beginning, or any parts in any order, down to single sectors.
//
// What is assumed of a disk, and of ext4 and XFS above it:
// * A flush of a file that has ended covers every write and truncation of it that came before its beginning. Nothing else does.
// * A sector of 512 bytes is written or not. Of sectors that were not, the file has what was there before, or zeros.
// * A name in a folder is there, or gone, for certain once the folder was flushed. Until then each name may be as after any of the
//   changes that were made to it since; half of the time the changes come in their order, as from a journal.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Entry } from './record.ts';

const SECTOR_BYTES = 512;

interface Change {
  readonly kind: 'write' | 'truncate';
  readonly offset: number;
  readonly data: Buffer;
}

interface File {
  /** What is on disk for certain; `size` bytes of it count. */
  bytes: Buffer;
  size: number;
  /** What was done to it since, and how many changes came before. */
  pending: Change[];
  stored: number;
}
const newFile = (bytes: Buffer): File => ({ bytes, size: bytes.length, pending: [], stored: 0 });

/** A name that was given or taken away; undefined: gone. */
interface Naming {
  readonly path: string;
  readonly node: number | undefined;
  readonly step: number;
  /** By a rename, which gives one name and takes another at once. */
  readonly renamed: boolean;
}

/** The files that a disk holds, by their paths. */
export type Image = ReadonlyMap<string, Buffer>;

export interface Replay {
  /** Goes on with the next entry. */
  next(entry: Entry): void;
  /** What the disk may hold if the power is cut now. */
  cut(random: () => number): Image;
}

export interface ReplayOptions {
  /** A disk that says it has flushed, and has not. */
  readonly lying?: boolean;
}

/** What stands below a folder before a recording begins: all of it is on disk. */
export interface Base {
  readonly folder: string;
  readonly files: ReadonlyMap<number, Buffer>;
  readonly folders: ReadonlyMap<number, string>;
  readonly names: ReadonlyMap<string, number>;
}

export function readBase(folder: string): Base {
  const files = new Map<number, Buffer>();
  const folders = new Map([[statSync(folder).ino, folder]]);
  const names = new Map<string, number>();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const { ino } = statSync(path);
    names.set(path, ino);
    if (entry.isDirectory()) folders.set(ino, path);
    else files.set(ino, readFileSync(path));
  }
  return { folder, files, folders, names };
}

export function createReplay(base: Base, { lying = false }: ReplayOptions = {}): Replay {
  const files = new Map([...base.files].map(([node, bytes]) => [node, newFile(Buffer.from(bytes))]));
  const names = new Map(base.names);
  const folders = new Map(base.folders);
  let namings: Naming[] = [];
  let steps = 0;
  // Of each flush that has begun, by thread: how much of the file, or of the folder, it covers.
  const flushes = new Map<number, { readonly node: number; readonly covers: number }>();

  const fileOf = (node: number): File => {
    const file = files.get(node);
    if (!file) throw new Error(`nothing is known of file ${node}`);
    return file;
  };
  const named = (...given: readonly Omit<Naming, 'step' | 'renamed'>[]) => {
    for (const one of given) namings.push({ ...one, step: steps, renamed: given.length > 1 });
    steps++;
  };
  const name = ({ path, node }: Naming, among: Map<string, number>) =>
    node === undefined ? among.delete(path) : among.set(path, node);
  /** As the program sees it. */
  const nodeOf = (path: string): number | undefined => {
    const last = namings.findLast((naming) => naming.path === path);
    return last ? last.node : names.get(path);
  };

  function flushed({ thread, node }: Entry): void {
    const flush = flushes.get(thread);
    flushes.delete(thread);
    if (flush?.node !== node || lying) return;
    const path = folders.get(node);
    if (path === undefined) {
      const file = fileOf(node);
      // Of two flushes at once the other one may have covered more.
      const now = file.pending.splice(0, Math.max(0, flush.covers - file.stored));
      for (const change of now) apply(file, change);
      file.stored += now.length;
      return;
    }
    const isCovered = (naming: Naming) => dirname(naming.path) === path && naming.step < flush.covers;
    for (const naming of namings.filter(isCovered)) name(naming, names);
    namings = namings.filter((naming) => !isCovered(naming));
  }

  return {
    next(entry) {
      const { kind, node, offset, data, path, to, thread } = entry;
      if (kind === 'write' || kind === 'truncate') fileOf(node).pending.push({ kind, offset, data });
      else if (kind === 'create') {
        // The inode of a file that is gone may be given again.
        files.set(node, newFile(Buffer.alloc(0)));
        named({ path, node });
      } else if (kind === 'mkdir') {
        folders.set(node, path);
        named({ path, node });
      } else if (kind === 'unlink' || kind === 'rmdir') named({ path, node: undefined });
      else if (kind === 'rename') named({ path, node: undefined }, { path: to, node: nodeOf(path) });
      else if (kind === 'link') named({ path: to, node: nodeOf(path) });
      else if (kind === 'sync') {
        const file = files.get(node);
        flushes.set(thread, { node, covers: file ? file.stored + file.pending.length : steps });
      } else if (kind === 'synced') flushed(entry);
    },

    cut(random) {
      const there = new Map(names);
      for (const naming of kept(namings, random)) name(naming, there);
      const image = new Map<string, Buffer>();
      for (const [path, node] of there) {
        const file = files.get(node);
        if (file && isReached(dirname(path), base.folder, there)) image.set(path, contentOf(file, random));
      }
      return image;
    },
  };
}

/** A file whose folder has no name is lost with it. */
const isReached = (path: string, folder: string, names: ReadonlyMap<string, number>): boolean =>
  path === folder || (names.has(path) && isReached(dirname(path), folder, names));

function apply(file: File, { kind, offset, data }: Change): void {
  const end = kind === 'write' ? offset + data.length : offset;
  if (end > file.bytes.length) {
    const larger = Buffer.alloc(Math.max(end, 2 * file.bytes.length));
    file.bytes.copy(larger, 0, 0, file.size);
    file.bytes = larger;
  }
  if (kind === 'write') data.copy(file.bytes, offset);
  // What is cut off, or was never written, is read as zeros.
  else if (offset < file.size) file.bytes.fill(0, offset, file.size);
  file.size = kind === 'write' ? Math.max(file.size, end) : offset;
}

/** Which names were changed on disk: all changes up to a moment, or for each name those up to a moment of its own. */
function kept(namings: readonly Naming[], random: () => number): readonly Naming[] {
  if (namings.length === 0) return namings;
  const first = namings[0]?.step ?? 0;
  const last = (namings.at(-1)?.step ?? 0) + 1;
  const moment = () => first + Math.floor(random() * (last - first + 1));
  const inOrder = random() < 0.5 || namings.some(({ renamed }) => renamed);
  const all = moment();
  const until = new Map<string, number>();
  return namings.filter(({ path, step }) => {
    if (inOrder) return step < all;
    const mine = until.get(path) ?? moment();
    until.set(path, mine);
    return step < mine;
  });
}

/** What a file may hold: everything flushed, and of the rest what the numbers say. */
function contentOf({ bytes, size, pending }: File, random: () => number): Buffer {
  const file = newFile(Buffer.from(bytes.subarray(0, size)));
  if (pending.length === 0) return file.bytes;
  const how = random();
  if (how < 0.1) return file.bytes;
  if (how < 0.2) {
    for (const change of pending) apply(file, change);
  } else if (how < 0.45) {
    // A beginning, and the last write torn.
    const count = Math.floor(random() * pending.length);
    for (const change of pending.slice(0, count)) apply(file, change);
    for (const part of sectorsOf(pending[count] as Change).slice(0, Math.floor(random() * 20))) apply(file, part);
  } else {
    // Any of them, whole or by sectors: those that are missing may be earlier ones.
    const share = random();
    const whole = how < 0.7;
    for (const change of pending)
      for (const part of whole ? [change] : sectorsOf(change)) if (random() < share) apply(file, part);
  }
  // The size may be on disk, and not what was to fill it.
  if (random() < 0.3) {
    const full = Math.max(
      file.size,
      ...pending.map(({ kind, offset, data }) => (kind === 'write' ? offset + data.length : 0)),
    );
    apply(file, { kind: 'truncate', offset: full, data: Buffer.alloc(0) });
  }
  return file.bytes.subarray(0, file.size);
}

function sectorsOf({ kind, offset, data }: Change): Change[] {
  if (kind === 'truncate') return [{ kind, offset, data }];
  const parts: Change[] = [];
  for (let from = 0; from < data.length; ) {
    const to = Math.min(data.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES));
    parts.push({ kind, offset: offset + from, data: data.subarray(from, to) });
    from = to;
  }
  return parts;
}
