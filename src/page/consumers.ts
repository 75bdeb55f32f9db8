// Consumers and their dead letters: read every few seconds while they are looked at.
import { sentence } from './api.ts';
import { api, app, changed, toast } from './state.ts';

const PAGE = 50;

export async function readConsumers(): Promise<void> {
  if (!app.api || !app.extended) return;
  try {
    app.consumers = (await api().consumers.list()).consumers;
    changed();
  } catch {
    // The status dot tells it.
  }
}

export async function readDead(name: string, from = 0): Promise<void> {
  try {
    const { dead, next_id } = await api().consumer(name).dead({ limit: PAGE, id: from });
    const before = from > 0 && app.dead?.name === name ? app.dead.list : [];
    app.dead = { name, list: [...before, ...dead], next: dead.length === PAGE ? next_id : 0 };
  } catch (error) {
    toast(sentence(error));
  }
  changed();
}

/** Hands dead letters out again: some, or all of them. */
export async function handOutAgain(name: string, ids?: number[]): Promise<void> {
  try {
    let count = 0;
    for (let more = true; more; ) {
      const done = await api()
        .consumer(name)
        .retryDead(ids ? { ids } : {});
      count += done.done.length;
      more = done.more && !ids;
    }
    toast(`${count} ${count === 1 ? 'waits' : 'wait'} for the next pull of ${name}.`);
  } catch (error) {
    toast(sentence(error));
  }
  await Promise.all([readConsumers(), readDead(name)]);
}
