// What must hold in every world, checked at the moment it could break: nothing skipped, nothing that vanishes, no standstill.
import type { Row } from '../../src/store/fence/source.ts';
import type { Content, Contents } from './contents.ts';
import type { Database, Table } from './database.ts';
import type { World } from './world.ts';

export interface Watch {
  /** From now on no content may appear, or vanish, at or below what this returns. */
  guard(name: string, passed: () => number): () => void;
  /** A reader was given this content: it may not vanish any more. */
  handedOut(name: string, content: Content): void;
  /** Contents that are there now. */
  present(): readonly Content[];
}

export function createWatch(world: World, db: Database, contents: Contents): Watch {
  const guards = new Map<object, [name: string, passed: () => number]>();
  const handed = new Map<number, string>();
  const vanished = new Set<number>();
  const ours = (table: Table<unknown>) => table === (contents.table as Table<unknown>);

  db.onVisible((table, id) => {
    if (!ours(table)) return;
    world.note(() => `${id} is committed`);
    for (const [name, passed] of guards.values())
      if (id <= passed()) world.violation(`${id} was committed after ${name} had passed ${passed()}`);
  });
  db.onVanished((table, id, value) => {
    if (!ours(table)) return;
    world.note(() => `${id} vanishes`);
    vanished.add((value as Content).user_id);
    // Its id will be given again, below what was passed.
    for (const [name, passed] of guards.values())
      if (id <= passed()) world.violation(`${id} vanished after ${name} had passed ${passed()}`);
    const to = handed.get((value as Content).user_id);
    if (to) world.violation(`${id} vanished after ${to} had been given it`);
  });
  return {
    guard(name, passed) {
      const key = {};
      guards.set(key, [name, passed]);
      return () => void guards.delete(key);
    },
    handedOut(name, { id, user_id }) {
      if (vanished.has(user_id)) world.violation(`${name} was given ${id}, which had vanished`);
      handed.set(user_id, name);
    },
    present: () => contents.visible(0),
  };
}

/** A client of the list: pages of contents in the order of ids. */
export interface ListClient {
  readonly next: number;
  /** One page of what may be read up to `upTo`. */
  page(process: { delay(): Promise<void> }, upTo: () => number, limit: number): Promise<void>;
  /** How many that are there it was not given yet. */
  missing(): number;
  /** Fails when something that is there was never given to it. */
  complete(): void;
}

export function createListClient(
  world: World,
  db: Database,
  contents: Contents,
  watch: Watch,
  name: string,
): ListClient {
  const got = new Set<number>();
  let next = 0;
  watch.guard(name, () => next - 1);
  return {
    get next() {
      return next;
    },
    async page({ delay }, upTo, limit) {
      const from = next;
      const readable = upTo();
      const rows = await db.ask(delay, () => contents.visible(from - 1).filter(({ id }) => id <= readable));
      const page = rows.slice(0, limit);
      let last = from - 1;
      for (const content of page) {
        if (content.id <= last) world.violation(`${name} was given ${content.id} after ${last}`);
        last = content.id;
        got.add(content.user_id);
        watch.handedOut(name, content);
      }
      if (rows.length > page.length) next = last + 1;
      else next = Math.max(from, Number.isFinite(readable) ? readable + 1 : last + 1);
      if (next > from) world.note(() => `${name} has ${page.map(({ id }) => id).join(' ')} and goes on at ${next}`);
    },
    missing: () => watch.present().filter(({ user_id }) => !got.has(user_id)).length,
    complete() {
      for (const content of watch.present())
        if (!got.has(content.user_id)) world.violation(`${name} never got ${content.id}, it is at ${next}`);
    },
  };
}

/** What one fence tells of rows, from its start on: none may be missing, and those it has passed come in order. */
export interface Tellings {
  /** The last one that was passed. */
  readonly last: number;
  seen(rows: readonly Row[]): void;
  passed(rows: readonly Row[], readable: number): void;
  /** Fails when a content that is there was never told; called when everything was seen and passed. */
  complete(): void;
}

export function createTellings(world: World, watch: Watch, from: number): Tellings {
  const name = 'a fence';
  const seen = new Set<number>();
  const passed = new Set<number>();
  let last = from;
  return {
    get last() {
      return last;
    },
    seen(rows) {
      for (const { user_id } of rows) seen.add(user_id);
    },
    passed(rows, readable) {
      for (const { id, user_id } of rows) {
        if (id <= last) world.violation(`${name} told that it passed ${id} after ${last}`);
        if (id > readable) world.violation(`${name} told that it passed ${id} and stands at ${readable}`);
        last = id;
        passed.add(user_id);
      }
    },
    complete() {
      for (const { id, user_id } of watch.present()) {
        if (id <= from) continue;
        if (!seen.has(user_id)) world.violation(`${name} never told that it saw ${id}`);
        if (!passed.has(user_id)) world.violation(`${name} never told that it passed ${id}`);
      }
    },
  };
}
