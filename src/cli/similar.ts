// Finds the word that somebody meant who misspelt it.

/** How many letters must be added, dropped, changed or swapped with their neighbour. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      rows[i]?.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same, swapped));
    }
  }
  return at(a.length, b.length);
}

// `stirpe` is near to `stripe`, `foo` to nothing.
const MOST_LETTERS = 20;
const NEAR = 0.4;

/** ` Did you mean stripe?`, or nothing. */
export function didYouMean(given: string, words: Iterable<string>): string {
  const asked = given.toLowerCase().slice(0, MOST_LETTERS);
  const [best] = [...words]
    .map((word) => ({ word, far: distance(asked, word) / Math.max(asked.length, word.length, 1) }))
    .sort((a, b) => a.far - b.far);
  return best && best.far <= NEAR ? ` Did you mean ${best.word}?` : '';
}
