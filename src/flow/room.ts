// Memory that many share: so much in all, and half of it for one of them.

export interface Room {
  /** False: that is too much, and nothing was taken. `line`: who takes it. Negative bytes give back. */
  hold(line: number, bytes: number): boolean;
  readonly held: number;
}

export function createRoom(mostBytes: number): Room {
  const lines = new Map<number, number>();
  let all = 0;
  return {
    hold(line, bytes) {
      const held = (lines.get(line) ?? 0) + bytes;
      if (bytes > 0 && (all + bytes > mostBytes || held > mostBytes / 2)) return false;
      all += bytes;
      if (held > 0) lines.set(line, held);
      else lines.delete(line);
      return true;
    },
    get held() {
      return all;
    },
  };
}
