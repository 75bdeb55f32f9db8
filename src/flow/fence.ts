// Answers one question for every list: up to which id may I read?
import { highestId } from '../store/contents.ts';
import type { Store } from '../store/index.ts';

export interface Fence {
  /** The highest id that a list may hand out now. */
  readable(): Promise<number>;
}

/**
 * On SQLite ids are committed in order, so the newest id is the answer. On MySQL a transaction that commits late can
 * still appear below it: see "What is not promised yet" in docs/design.md.
 */
export const createFence = (store: Store): Fence => ({ readable: () => highestId(store) });
