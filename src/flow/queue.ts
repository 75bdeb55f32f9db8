// What waits for its commit: a line per webhook, one row of each in turn, so that a sender who floods waits for himself.

export interface Entry {
  /** Whose line it stands in. */
  readonly line: number;
  readonly bytes: number;
  /** When it came, by performance.now(). */
  readonly since: number;
}

export interface Queue<E extends Entry> {
  add(entry: E): void;
  /** At most so many rows and bytes, one of each line in turn; what alone is larger travels alone. `held`: not yet, nor what is behind it. */
  take(mostRows: number, mostBytes: number, held: (entry: E) => boolean): E[];
  /** Removes what came before this moment. */
  dropBefore(until: number): E[];
  /** What a line holds, and since when its first one waits; undefined: it is empty. */
  of(line: number): { readonly bytes: number; readonly since: number } | undefined;
  readonly size: number;
  readonly bytes: number;
}

interface Line<E> {
  /** What has left leaves a hole: it must not stay in memory until the line is tidied. */
  entries: (E | undefined)[];
  /** Those before it are gone. */
  at: number;
  bytes: number;
}

export function createQueue<E extends Entry>(): Queue<E> {
  // In the order in which they are served: who was, goes to the end.
  const lines = new Map<number, Line<E>>();
  let size = 0;
  let bytes = 0;

  function leave(line: Line<E>, entry: E): void {
    line.entries[line.at++] = undefined;
    line.bytes -= entry.bytes;
    bytes -= entry.bytes;
    size--;
  }

  function tidy(key: number, line: Line<E>): void {
    lines.delete(key);
    if (line.at === line.entries.length) return;
    lines.set(key, line);
    if (line.at < 1_000) return;
    line.entries = line.entries.slice(line.at);
    line.at = 0;
  }

  return {
    add(entry) {
      const line = lines.get(entry.line) ?? { entries: [], at: 0, bytes: 0 };
      if (line.entries.length === 0) lines.set(entry.line, line);
      line.entries.push(entry);
      line.bytes += entry.bytes;
      bytes += entry.bytes;
      size++;
    },
    take(mostRows, mostBytes, held) {
      const taken: E[] = [];
      const served = new Map<number, Line<E>>();
      let sum = 0;
      for (let turn = [...lines]; turn.length > 0; ) {
        const again: typeof turn = [];
        for (const [key, line] of turn) {
          const entry = line.entries[line.at];
          if (taken.length === mostRows) break;
          if (!entry || held(entry) || (taken.length > 0 && sum + entry.bytes > mostBytes)) continue;
          leave(line, entry);
          taken.push(entry);
          sum += entry.bytes;
          served.set(key, line);
          again.push([key, line]);
        }
        turn = again;
      }
      for (const [key, line] of served) tidy(key, line);
      return taken;
    },
    dropBefore(until) {
      const dropped: E[] = [];
      for (const [key, line] of [...lines]) {
        for (let entry = line.entries[line.at]; entry && entry.since < until; entry = line.entries[line.at]) {
          leave(line, entry);
          dropped.push(entry);
        }
        if (line.at === line.entries.length) lines.delete(key);
      }
      return dropped;
    },
    of(key) {
      const line = lines.get(key);
      const first = line?.entries[line.at];
      return line && first && { bytes: line.bytes, since: first.since };
    },
    get size() {
      return size;
    },
    get bytes() {
      return bytes;
    },
  };
}
