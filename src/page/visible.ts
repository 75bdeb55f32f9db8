// Makes characters visible that would hide, or turn around, the text beside them.

const named = (code: number): string => `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
// C0 but tab and line feed, DEL, C1; marks that change direction; what has no width. The joiner of emoji may stay.
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]/g;

/** The text with every such character named: `␀` for NUL, `⟨U+202E⟩` for a mark that turns text around. */
export const visible = (text: string): string =>
  text.replace(HIDDEN, (char) => {
    const code = char.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : named(code);
  });
