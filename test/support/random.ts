// Numbers that a seed decides, so that what a test found can be found again.

/** mulberry32: numbers from 0 up to 1, the same for the same seed. */
export function randomOf(seed: number): () => number {
  // Neighbouring seeds must not give neighbouring numbers.
  let state = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b) ^ 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
