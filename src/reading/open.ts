// Opens all that reads the shared table: fence, sequencer, tail and lists, and the sweep behind them.
import type { Config } from '../config/config.ts';
import { warnSeldom } from '../observe/incidents.ts';
import type { Log } from '../observe/log.ts';
import { type ContentKey, type ContentRow, hasIdsBeyond, highestId } from '../store/contents.ts';
import { type Db, failed, termOf } from '../store/db.ts';
import { causeOf } from '../store/engine/causes.ts';
import { bootFence, openFenceSource, openNode } from '../store/fence/source.ts';
import { openDb, type Store } from '../store/open.ts';
import {
  assignPositions,
  forgetPositions,
  positionState,
  positionsBetween,
  readMark,
  saveMark,
} from '../store/positions.ts';
import { keepAhead, sawId } from '../store/shared/ids.ts';
import { createFence, type Fence, type FenceSource, type Row } from './fence.ts';
import { createLists, createOwnWrites } from './lists.ts';
import { retry } from './retry.ts';
import { createSequencer, createSweep, type Sequencer } from './sequencer.ts';
import { createTail } from './tail.ts';

// A restart reads again what came since: at most the contents of this time.
const SAVE_MARK_EVERY_MS = 5_000;

// Of contents that nobody gets.
const LOOK_EVERY_MS = 60_000;
const MOST_NAMED = 10;

const NODE_AWAY = 'a node of FENCE_NODES cannot be asked: lists wait until it can be';

export async function openReading(parts: {
  readonly store: Store;
  readonly config: Pick<Config, 'maxPageBytes' | 'fenceNodes' | 'fenceMaxHold'>;
  readonly log: Log;
  readonly content: (key: ContentKey) => Promise<ContentRow | undefined>;
  readonly onLook?: (ms: number) => void;
}) {
  const { store, config, log, content, onLook } = parts;
  const { db } = store;
  const nodes = config.fenceNodes.map((url) => openNode(() => openDb(url)));
  for (const [i, node] of nodes.entries())
    node.writers().catch((error: unknown) => log.warn({ error, node: i + 1 }, NODE_AWAY));
  const opened = await openFenceSource(db, nodes, store.recent);
  const { source } = opened;
  if (opened.facts.warning) log.warn({}, opened.facts.warning);

  const ending = new AbortController();
  const { signal } = ending;
  async function begin(passed?: number): Promise<{ from: number; fence: Fence; sequencer: Sequencer | undefined }> {
    const mark = store.extended ? await keptMark(db, source) : passed;
    // 'other': the server was started anew meanwhile. A database that is away or denies a right ends the start, which tells why.
    const worthIt = (error: unknown) => failed(error, 'other');
    const message = 'cannot begin to read contents; trying again';
    const from = mark ?? (await retry(() => steadyBoot(db, source), { log, message, signal, worthIt }));
    const fence = createFence({
      source,
      nodes: opened.nodes,
      from,
      awaitOpen: mark === undefined,
      maxHoldMs: config.fenceMaxHold === undefined ? undefined : config.fenceMaxHold * 1000,
      onAlarm(alarm) {
        log.error(alarm, alarm.text);
        if (alarm.kind === 'emptied') beginAgain(alarm.top);
      },
      onForced: (forced) => log.error(forced, 'FENCE_MAX_HOLD: lists go on past a row that may still appear'),
    });
    if (!store.extended) return { from, fence, sequencer: undefined };
    const sequencer = await createSequencer({
      assign: (rows, next) => assignPositions(db, rows, next),
      state: () => positionState(db),
      async between(low, high) {
        const known = store.recent?.fromPos(low, high) ?? [];
        const from = low + known.length;
        return from < high ? [...known, ...(await positionsBetween(db, from, high))] : known;
      },
      assignedOnInsert: store.recent !== undefined,
    });
    return { from, fence, sequencer };
  }

  /** The ids begin anew, and so does reading: else new contents would lie below what was read. */
  let beginning = false;
  function beginAgain(top: number): void {
    if (beginning) return;
    beginning = true;
    async function work(): Promise<void> {
      if (store.extended) await forgetPositions(db, top);
      const parts = await begin();
      lists.forget();
      tail.restart(parts);
    }
    const message = 'tblwh was emptied, and reading cannot begin again; trying again';
    retry(work, { log, message, signal })
      .catch(() => {}) // it rejects only when it was closed
      .finally(() => {
        beginning = false;
      });
  }

  /**
   * On another server reading begins as after a restart: where the mark stands there, with the positions that are there. As it is, it
   * begins where it stood, or at the newest content, if the new server has fewer.
   */
  async function renew(): Promise<{ fence: Fence; sequencer: Sequencer | undefined }> {
    sawId(db, tail.readableId);
    await db.transaction((queries) => keepAhead(db, queries));
    const parts = await begin(Math.min(tail.readableId, await highestId(store)));
    lists.forget();
    return parts;
  }

  let lookError: unknown;
  const warnLook = warnSeldom(log, causeOf, 'cannot look for new contents; trying again');
  const { from, fence, sequencer } = await begin();
  const sweep = sequencer
    ? createSweep({ db, from: (await readMark(db, 'backfill')) ?? 0, to: from, readableId: () => tail.readableId, log })
    : undefined;
  const tail = createTail({
    fence,
    sequencer,
    swept: () => sweep?.take() ?? [],
    ownRowsIn: store.recent ? 'memory' : 'server',
    onPassed(rows) {
      sawId(db, rows.at(-1)?.id ?? 0);
      lists.passed(rows);
      leftOut.passed(rows);
    },
    term: () => termOf(db),
    renew,
    ...(onLook ? { onLook } : {}),
    onError(error) {
      lookError = error;
      if (error) warnLook(error);
      else log.info({}, 'new contents are looked for again');
    },
  });
  const leftOut = tellLeftOut(store, log);
  const ownWrites = createOwnWrites(tail);
  const lists = createLists({ store, tail, ownWrites, maxPageBytes: config.maxPageBytes, content });
  const saving = setInterval(() => {
    if (sequencer && tail.readableId > 0) saveMark(db, 'fence', tail.readableId).catch(() => {});
  }, SAVE_MARK_EVERY_MS);
  saving.unref();
  return {
    /** What lists promise on this database, as its rights and settings are now. */
    promise: () => opened.promise,
    tail,
    lists,
    ownWrites,
    /** Why new contents cannot be looked for now. */
    lookError: () => lookError,
    async close(): Promise<void> {
      clearInterval(saving);
      leftOut.close();
      ending.abort();
      sweep?.close();
      await tail.close();
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

/** Tells of contents that nobody gets, for their user or their id: their lists do not miss them, and somebody may. */
function tellLeftOut(store: Store, log: Pick<Log, 'warn' | 'error'>) {
  let toldAt = Number.NEGATIVE_INFINITY;
  let beyond = false;
  function look(): void {
    hasIdsBeyond(store).then(
      (found) => {
        if (found && !beyond)
          log.error(
            {},
            'tblwh has ids that no content can have: these rows are left out. restante doctor tells what to do',
          );
        beyond = found;
      },
      () => {}, // the next look
    );
  }
  look();
  const looking = setInterval(look, LOOK_EVERY_MS);
  looking.unref();
  return {
    passed(rows: readonly Row[]): void {
      if (performance.now() - toldAt < LOOK_EVERY_MS) return;
      const ids = rows.flatMap(({ id, user_id }) => (user_id === 0 ? [id] : [])).slice(0, MOST_NAMED);
      if (ids.length === 0) return;
      toldAt = performance.now();
      log.warn({ ids }, 'contents of another application name no user, and nobody gets them: restante doctor');
    },
    close: () => clearInterval(looking),
  };
}

/** The fence as it stood before a restart: ids below it are not judged again. Undefined when the ids have begun anew. */
async function keptMark(db: Db, source: FenceSource): Promise<number | undefined> {
  const mark = await readMark(db, 'fence');
  if (mark === undefined) return undefined;
  const top = (await source.top?.(mark)) ?? mark;
  if (top >= mark) return mark;
  await forgetPositions(db, top);
  return undefined;
}

/** Where the fence begins when nothing was kept. What is visible below it must be on disk: no restart may come in between. */
async function steadyBoot(db: Db, source: FenceSource): Promise<number> {
  await source.look(Number.MAX_SAFE_INTEGER, [], 1);
  const from = await bootFence(db, source);
  if (from === 0 || source.minAgeMs === 0) return from;
  await new Promise((resolve) => setTimeout(resolve, source.minAgeMs));
  await source.look(Number.MAX_SAFE_INTEGER, [], 1);
  return from;
}
