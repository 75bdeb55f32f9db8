// Which server of MySQL or MariaDB answers, whether it may be written to, and by what it shows that it is the primary no longer.
import { StoreError } from '../db.ts';

/**
 * Which server answers, in SQL: a number of a connection means nothing on another one. MySQL reads the comment, and has an id that
 * no other server has; MariaDB does not.
 */
export const THIS_SERVER = "CONCAT(@@hostname, ':', @@port, ' #', @@server_id /*!80000 , ' ', @@server_uuid */)";
/** Whether it may be written to, in SQL: '0 0'. The second is that of a reader of Aurora. */
export const READ_ONLY = "CONCAT(@@read_only, ' ', @@innodb_read_only)";
export const isReadOnly = (value: unknown): boolean => !/^((0|OFF) ?)+$/i.test(String(value));

/** What a node of Galera answers to everything when it has lost the others. */
export const LOST_GROUP = 1047;
// Read-only, by several names; 3100 is what Group Replication makes of that.
const LOST_PLACE: readonly number[] = [LOST_GROUP, 1290, 1792, 1836, 3100];
const READ_ONLY_CODE = 'SERVER_IS_READ_ONLY';
const SERVERS_CODE = 'TWO_SERVERS';

// Answers that must not be believed, and show that the primary may be elsewhere now: by a reader, and by several servers.
export const readOnlyError = (message: string): StoreError => coded(READ_ONLY_CODE, message);
export const serversError = (message: string): StoreError => coded(SERVERS_CODE, message);
const coded = (code: string, message: string) => new StoreError('away', Object.assign(new Error(message), { code }));

/** Whether an error shows that another server may be the primary now. */
export function losesPlace(error: unknown): boolean {
  const { errno, code } = ((error as StoreError).cause ?? {}) as { readonly errno?: number; readonly code?: string };
  return code === READ_ONLY_CODE || code === SERVERS_CODE || (errno !== undefined && LOST_PLACE.includes(errno));
}
