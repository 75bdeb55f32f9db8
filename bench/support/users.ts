// Many users at once for a benchmark, straight into the shared table as another application would make them.
import { randomBytes } from 'node:crypto';
import type { Db } from '../../src/store/db.ts';

export interface BenchUser {
  readonly id: number;
  readonly auth: string;
}

const PER_STATEMENT = 500;

export async function addUsers(db: Db, count: number): Promise<BenchUser[]> {
  const users: BenchUser[] = [];
  while (users.length < count) {
    const tokens = Array.from({ length: Math.min(PER_STATEMENT, count - users.length) }, () =>
      randomBytes(16).toString('hex'),
    );
    const ids = await db.insertIds(
      'tbluser',
      ['email', 'phone', 'token', 'status', 'pwd'],
      tokens.map((token) => ['', '', token, 1, '']),
    );
    ids.forEach((id, i) => {
      users.push({ id, auth: `Basic ${Buffer.from(`${id}:${tokens[i]}`).toString('base64')}` });
    });
  }
  return users;
}
