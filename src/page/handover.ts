// Hands a content to the replay page, window to window: what it needs and no credentials.
import { isSecret } from './secrets.ts';
import { toast } from './state.ts';
import type { Content, HeaderList } from './wire.ts';

export interface Handed {
  readonly id: number;
  readonly method: string;
  /** What followed the key. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly hidden: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const waiting = new Map<Window, Handed>();

/** Opens the page; it asks for its content when it is there. */
export function openReplay(content: Content, bytes: Uint8Array<ArrayBuffer> | undefined, revealed: boolean): void {
  const { request } = content;
  if (!request || !bytes) return;
  const headers = revealed ? request.headers : request.headers.filter(([name = '']) => !isSecret(name));
  const page = window.open(new URL('replay', new URL('./', import.meta.url)).href, '_blank');
  if (!page) {
    toast('The browser did not let the page open: allow pop-ups for this site.');
    return;
  }
  waiting.set(page, {
    id: content.id,
    method: request.method,
    path: request.url,
    headers,
    hidden: request.headers.length - headers.length,
    bytes,
  });
}

export function answerReplays(): void {
  addEventListener('message', ({ origin, source, data }) => {
    const page = source as Window | null;
    if (origin !== location.origin || data !== 'replay-ready' || !page) return;
    const handed = waiting.get(page);
    if (handed) page.postMessage(handed, location.origin);
  });
}
