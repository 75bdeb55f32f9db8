// Readers in a process of their own: each opens what it is told over a connection, and reads it, or does not.
import { connect } from 'node:net';

/** What the process is told: for each connection the bytes of its request. */
export interface Told {
  readonly port: number;
  readonly requests: readonly string[];
  readonly read: boolean;
}
/** What it answers when it is asked: answers that ended in each status, and contents and ends that came. */
export interface Seen {
  readonly mb: number;
  readonly contents: number;
  readonly ends: number;
  readonly refused: number;
}

let bytes = 0;
const counts = { contents: 0, ends: 0, refused: 0 };
const WORDS = [
  ['contents', '"content":"'],
  ['ends', 'event: end'],
  ['refused', 'HTTP/1.1 503'],
] as const;

process.on('message', async (told: Told | 'seen') => {
  if (told === 'seen') {
    process.send?.({ mb: bytes / 1e6, ...counts } satisfies Seen);
    return;
  }
  for (const [i, request] of told.requests.entries()) {
    const socket = connect(told.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(request);
    if (!told.read) socket.pause();
    else
      socket.on('data', (part: Buffer) => {
        bytes += part.length;
        // A word that is torn between two parts is not counted: the figures say how many about.
        for (const [name, word] of WORDS) if (part.includes(word)) counts[name]++;
      });
    // The kernel drops what comes too fast.
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  process.send?.('open');
});
