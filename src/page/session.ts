// Signing in and out, and what is read now and then while somebody is.
import { connect, sentence } from './api.ts';
import { hangUp, listen, title } from './contents.ts';
import { pollRefusals } from './refusals.ts';
import { app, changed, forget } from './state.ts';
import { refresh } from './webhooks.ts';

const REFRESH_MS = 30_000;
const REFUSALS_MS = 5_000;
let timers: ReturnType<typeof setInterval>[] = [];

export async function signIn(id: string, token: string): Promise<void> {
  Object.assign(app, { entering: true, problem: '' });
  changed();
  const mine = connect(id, token, (detail) => app.api === mine && signOut(detail));
  try {
    const { username } = await mine.verify();
    Object.assign(app, { api: mine, user: username, entering: false });
    void listen();
    await refresh();
    timers = [setInterval(() => void refresh(), REFRESH_MS), setInterval(() => void pollRefusals(), REFUSALS_MS)];
    void pollRefusals();
  } catch (error) {
    app.problem = sentence(error);
  }
  app.entering = false;
  changed();
}

export function signOut(problem = ''): void {
  for (const timer of timers) clearInterval(timer);
  timers = [];
  hangUp();
  forget(problem);
  title();
  changed();
}
