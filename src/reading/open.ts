// Opens all that reads the shared table: fence, sequencer, tail and lists, and the sweep behind them.
import type { Config } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import { type ContentKey, type ContentRow, highestId } from '../store/contents.ts';
import { type Db, failed, termOf } from '../store/db.ts';
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
import { createFence, type Fence, type FenceSource } from './fence.ts';
import { createLists, createOwnWrites } from './lists.ts';
import { retry } from './retry.ts';
import { createSequencer, createSweep, type Sequencer } from './sequencer.ts';
import { createTail } from './tail.ts';

// A restart reads again what came since: at most the contents of this time.
const SAVE_MARK_EVERY_MS = 5_000;

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
    await keepAhead(db);
    const parts = await begin(Math.min(tail.readableId, await highestId(store)));
    lists.forget();
    return parts;
  }

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
    },
    term: () => termOf(db),
    renew,
    ...(onLook ? { onLook } : {}),
    onError: (error) =>
      error
        ? log.warn({ error }, 'cannot look for new contents; trying again')
        : log.info({}, 'new contents are looked for again'),
  });
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
    async close(): Promise<void> {
      clearInterval(saving);
      ending.abort();
      sweep?.close();
      await tail.close();
      await Promise.all(nodes.map((node) => node.close()));
    },
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
