// The content that is open: its whole body, its life, and what can be done with it.
import { ApiError, sentence } from './api.ts';
import { bodyOfContent } from './body/body.ts';
import { known, read, remember } from './inbox.ts';
import { sizeOf } from './rows.ts';
import { api, app, changed, type Open, toast } from './state.ts';
import type { Content, OutcomeWire, Trace } from './wire.ts';

export async function openContent(id: number): Promise<void> {
  read(id);
  const before = app.content;
  // Who looks at bytes goes on looking at bytes.
  const open: NonNullable<typeof app.content> = { id, tab: before?.tab ?? 'pretty', shown: 1, revealed: false };
  app.content = open;
  const show = (content: Content) => {
    open.item = content;
    open.body = bodyOfContent(content, sizeOf(content));
    changed();
  };
  const at = known(id);
  if (at) show(at);
  changed();
  try {
    if (!at) {
      const content = await api().get<Content>(`/whcontent/${id}`);
      remember(content);
      show(content);
    }
    await traceOf(open);
  } catch (error) {
    open.problem = error instanceof ApiError && error.status === 404 ? `You have no content ${id}.` : sentence(error);
  }
  changed();
}

async function traceOf(open: Open<Content> & { trace?: Trace }): Promise<void> {
  if (!app.extended) return;
  try {
    open.trace = await api().get<Trace>(`/whcontent/${open.id}/trace`);
  } catch {
    // The content is what matters.
  }
}

export async function redeliver(id: number, consumer: string): Promise<void> {
  try {
    await api().send<OutcomeWire>('POST', `/consumers/${encodeURIComponent(consumer)}/redeliver`, { ids: [id] });
    toast(`Content ${id} waits for the next pull of ${consumer}.`);
  } catch (error) {
    toast(sentence(error));
  }
  if (app.content?.id === id) await traceOf(app.content);
  changed();
}

export async function download(path: string, name: string): Promise<void> {
  try {
    save(await api().bytes(path), name);
  } catch (error) {
    toast(sentence(error));
  }
}

/** Hands bytes to the browser's downloads, as bytes: nothing of it is opened. */
export function save(bytes: Uint8Array<ArrayBuffer>, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https a page has no clipboard: the old way.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(`${what} copied.`);
}
