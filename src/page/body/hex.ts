// Bytes as people who look for a stray one read them: offset, sixteen of them, and their characters.

const hexLine = (bytes: Uint8Array, from: number): string => {
  const row = bytes.subarray(from, from + 16);
  let hex = '';
  let text = '';
  for (let i = 0; i < 16; i++) {
    const byte = row[i];
    hex += (byte === undefined ? '  ' : byte.toString(16).padStart(2, '0')) + (i === 7 ? '  ' : ' ');
    if (byte !== undefined) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·';
  }
  return `${from.toString(16).padStart(8, '0')}  ${hex} ${text}`;
};

/** `lines` lines from the start. */
export function hexText(bytes: Uint8Array, lines: number): string {
  const out: string[] = [];
  for (let from = 0; from < bytes.length && out.length < lines; from += 16) out.push(hexLine(bytes, from));
  return out.join('\n');
}
