// Takes the Content-Encoding off a body, on the threads of zlib and within bounds, for one user after the other.
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { headerOf, type Incoming } from './request.ts';

const MOST_DECODED = 64 * 1024 * 1024;
// JSON seldom shrinks to a twentieth. A small body may: the bound of a ratio begins above this.
const MOST_RATIO = 200;
const SMALL = 1024 * 1024;
// The pieces in which zlib hands out what it has: a larger one means fewer turns of the event loop.
const PIECE = 64 * 1024;

const DECODERS = { gzip: gunzip, 'x-gzip': gunzip, deflate: inflate, br: brotliDecompress } as const;

/** The one encoding of the body; undefined: it has none, or one that is not known here. */
export function encodingOf(incoming: Incoming): keyof typeof DECODERS | undefined {
  const name = (headerOf(incoming, 'content-encoding') ?? '').trim().toLowerCase();
  return Object.hasOwn(DECODERS, name) ? (name as keyof typeof DECODERS) : undefined;
}

/** The most bytes that this body may become. */
const mostOf = ({ body }: Incoming): number => Math.min(MOST_DECODED, Math.max(SMALL, body.length * MOST_RATIO));

/** The request with its decoded body; as it is when its encoding is not known, its bytes are no such thing, or they become too many. */
async function decode(incoming: Incoming): Promise<Incoming> {
  const encoding = encodingOf(incoming);
  if (!encoding || incoming.decoded) return incoming;
  // They differ in options that are not used here.
  const decoder = DECODERS[encoding] as typeof gunzip;
  const decoded = await new Promise<Buffer | undefined>((resolve) => {
    decoder(incoming.body, { maxOutputLength: mostOf(incoming), chunkSize: PIECE }, (error, bytes) =>
      resolve(error ? undefined : bytes),
    );
  });
  return decoded ? { ...incoming, decoded } : incoming;
}

// All decoded bodies together never take more than one may: the others wait, each user in turn.
let free = MOST_DECODED;
const waiting = new Map<number, { readonly bytes: number; readonly go: () => void }[]>();

function next(): void {
  for (const [user, line] of waiting) {
    const first = line[0];
    if (!first || first.bytes > free) return;
    // A user who was served goes to the end.
    waiting.delete(user);
    line.shift();
    if (line.length > 0) waiting.set(user, line);
    free -= first.bytes;
    first.go();
  }
}

/** Does the work with the decoded body, whose memory is held until it is done. */
export async function withDecoded<T>(
  user: number,
  incoming: Incoming,
  work: (ready: Incoming) => T | Promise<T>,
): Promise<T> {
  const bytes = mostOf(incoming);
  await new Promise<void>((go) => {
    const line = waiting.get(user);
    if (line) line.push({ bytes, go });
    else waiting.set(user, [{ bytes, go }]);
    next();
  });
  try {
    return await work(await decode(incoming));
  } finally {
    free += bytes;
    next();
  }
}
