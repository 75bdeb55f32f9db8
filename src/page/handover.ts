// Hands the shown content to the clipboard, to the downloads, or to the window of the replay page, without credentials.
import type { Content } from '../client/index.ts';
import { sentence } from './api.ts';
import type { HeaderList } from './body.ts';
import { isSecret } from './curl.ts';
import { toast } from './state.ts';

export interface Handover {
  readonly id: number;
  readonly method: string;
  /** The part of the path after the key. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly hidden: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const waiting = new Map<Window, Handover>();

/** Opens the replay page; once loaded, that page asks for its content. */
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

export async function download(bytes: Promise<Uint8Array>, name: string): Promise<void> {
  try {
    save(await bytes, name);
  } catch (error) {
    toast(sentence(error));
  }
}

/** Hands bytes to the browser's downloads, as bytes: the browser opens none of them. */
export function save(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page without https has no clipboard: copy a selected text field instead.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(`${what} copied.`);
}
