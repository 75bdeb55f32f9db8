// Takes a multipart body apart, byte for byte: what is between the boundaries is what is downloaded.

export interface PartOf {
  readonly name: string;
  readonly filename: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const latin = new TextDecoder('latin1');
const utf8 = new TextDecoder();
const MOST_PARTS = 1_000;

/** The parts; undefined when there is no boundary or it does not occur. */
export function multipartOf(bytes: Uint8Array<ArrayBuffer>, type: string): PartOf[] | undefined {
  const [, quoted, plain] = /boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type) ?? [];
  const boundary = quoted ?? plain;
  if (!boundary) return undefined;
  // One character per byte, so that positions are those of the bytes.
  const text = latin1(bytes);
  const mark = `--${boundary}`;
  const parts: PartOf[] = [];
  let at = text.startsWith(mark) ? 0 : text.indexOf(`\r\n${mark}`) + 2;
  if (at === 1) return undefined;
  while (parts.length < MOST_PARTS) {
    const start = text.indexOf('\r\n', at + mark.length);
    if (start < 0 || text.startsWith('--', at + mark.length)) break;
    const next = text.indexOf(`\r\n${mark}`, start);
    const end = next < 0 ? bytes.length : next;
    const blank = text.indexOf('\r\n\r\n', start);
    if (blank < 0 || blank > end) break;
    const head = utf8.decode(bytes.subarray(start + 2, blank));
    parts.push({
      name: parameter(head, 'name'),
      filename: parameter(head, 'filename'),
      type: /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? '',
      bytes: bytes.subarray(blank + 4, end),
    });
    if (next < 0) break;
    at = next + 2;
  }
  return parts;
}

function latin1(bytes: Uint8Array): string {
  // TextDecoder's latin1 is windows-1252 in browsers: as long, and the same in the ASCII that is looked for.
  return latin.decode(bytes);
}

function parameter(head: string, name: string): string {
  const line = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  const [, quoted, plain] = new RegExp(`[;\\s]${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]+))`, 'i').exec(line) ?? [];
  return quoted?.replace(/\\(["\\])/g, '$1') ?? plain ?? '';
}
