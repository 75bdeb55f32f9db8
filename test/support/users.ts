// A user of a database whose service is a program of its own.
import { randomBytes } from 'node:crypto';
import { openStore } from '../../src/store/open.ts';
import { addUser } from '../../src/store/users.ts';

export async function newUser(databaseUrl: string): Promise<{ readonly id: number; readonly auth: string }> {
  const [user] = await newUsers(databaseUrl, 1);
  return user as { readonly id: number; readonly auth: string };
}

export async function newUsers(databaseUrl: string, count: number) {
  const store = await openStore(databaseUrl);
  try {
    const users: { readonly id: number; readonly auth: string }[] = [];
    for (let i = 0; i < count; i++) {
      const token = randomBytes(16).toString('hex');
      const id = await addUser(store.db, { email: 'ana@example.org', phone: '', token });
      users.push({ id, auth: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}` });
    }
    return users;
  } finally {
    await store.close();
  }
}
