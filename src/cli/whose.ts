// Whose webhooks and contents a verb is about: the one user there is, or the one that is named.
import type { Store } from '../store/index.ts';
import { listUserIds } from '../store/users.ts';
import { Complaint } from './io.ts';
import { MOST_ID, whole } from './options.ts';

export async function userIdOf(store: Store, given: string | undefined): Promise<number> {
  const users = await listUserIds(store.db);
  if (users.length === 0)
    throw new Complaint(
      `there are no users: restante user add${store.db.kind === 'mysql' ? ' --write-tbluser' : ''}`,
      2,
    );
  const id = given === undefined ? users[0]?.id : whole(given, '--user', 1, MOST_ID);
  if (given === undefined && users.length !== 1)
    throw new Complaint(`there are ${users.length} users: say which one with --user ID (restante user list)`, 2);
  if (id === undefined || !users.some((user) => user.id === id))
    throw new Complaint(`there is no user ${id}: restante user list`);
  return id;
}
