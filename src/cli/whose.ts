// Whose webhooks and contents a verb is about: the one user there is, or the one that is named.
import type { Store } from '../store/index.ts';
import { listUserIds } from '../store/users.ts';
import { Complaint } from './io.ts';

export const whole = (text: string, what: string, most = 4_294_967_295): number => {
  if (!/^\d{1,10}$/.test(text) || Number(text) > most)
    throw new Complaint(`${what} must be a whole number up to ${most}, not ${text}`, 2);
  return Number(text);
};

export async function userIdOf(store: Store, given: string | undefined): Promise<number> {
  const users = await listUserIds(store.db);
  const id = given === undefined ? users[0]?.id : whole(given, '--user');
  if (given === undefined && users.length !== 1)
    throw new Complaint(`there are ${users.length} users: say which one with --user ID (restante user list)`, 2);
  if (id === undefined || !users.some((user) => user.id === id))
    throw new Complaint(`there is no user ${id}: restante user list`);
  return id;
}
