// Recognises by its headers whose request it is, when it is not one of the provider that was expected.
import { headerOf, type Incoming } from './incoming.ts';
import type { Preset } from './preset.ts';
import { PRESETS } from './presets.ts';

interface Marks {
  readonly preset: Preset;
  readonly signature: readonly string[];
  readonly others: readonly string[];
}

const headersOf = (text: string): readonly string[] =>
  text.startsWith('header:') ? text.slice('header:'.length).toLowerCase().split(',') : [];

const MARKS: readonly Marks[] = [...PRESETS.values()].flatMap((preset) => {
  const { signature, secret_from, timestamp, id } = preset.verify;
  const marks = headersOf(signature?.from ?? secret_from ?? '');
  const more = [preset.dedupe ?? [], preset.event_type ?? [], timestamp?.from ?? [], id ?? []].flat(2);
  return marks.length > 0 ? [{ preset, signature: marks, others: [...new Set(more.flatMap(headersOf))] }] : [];
});

/** How many headers speak for this provider; 0 without its signature. */
function score({ signature, others }: Marks, incoming: Incoming): number {
  const has = (name: string) => headerOf(incoming, name) !== undefined;
  return signature.some(has) ? 1 + others.filter(has).length : 0;
}

/** The provider whose headers these are, when another one than `expected` has more of them. */
export function lookalike(expected: Preset | undefined, incoming: Incoming): Preset | undefined {
  const scored = MARKS.map((marks) => ({ preset: marks.preset, points: score(marks, incoming) }));
  const own = scored.find(({ preset }) => preset === expected)?.points ?? 0;
  const [best] = scored.filter(({ points }) => points > own).sort((a, b) => b.points - a.points);
  return best?.preset;
}
