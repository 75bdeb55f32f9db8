// Starts one MariaDB and one MySQL for all test files and tells them the addresses.
import type { TestProject } from 'vitest/node';
import { sharedServer } from './servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** mysql://root@127.0.0.1:PORT/ without a database. */
    mariadb: string;
    mysql: string;
    /** Set where the servers have the opposite of every setting that we set: test/support/opposite.ts. */
    opposite?: boolean;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [mariadb, mysql] = await Promise.all([sharedServer('mariadb'), sharedServer('mysql')]);
  console.log(`testing on ${mariadb.version}, ${mysql.version} and SQLite`);
  project.provide('mariadb', mariadb.url);
  project.provide('mysql', mysql.url);
  return async () => {
    await Promise.all([mariadb.stop(), mysql.stop()]);
  };
}
