// What the error numbers of MySQL and MariaDB mean to us.
import { type Failure, IDS_USED_UP, StoreError } from '../db.ts';
import { LOST_GROUP } from './mysql-server.ts';

const NUMBERS: readonly (readonly [Failure, readonly number[]])[] = [
  ['again', [1020, 1047, 1205, 1213, 1615, 3101, 3572]],
  ['missing', [1054, 1146, 1176]],
  // A person must correct the account, its rights, or what DATABASE_URL says of it: trying again does not help.
  [
    'denied',
    [1044, 1045, 1049, 1130, 1142, 1143, 1227, 1251, 1370, 1524, 1698, 1820, 1862, 3118, 3159, 3955, 4150, 4151],
  ],
  ['duplicate', [1062]],
  ['exists', [1050, 1060, 1061]],
  // The server refuses this row: too long, wrong value, a constraint, a trigger of another application, too large a packet.
  [
    'data',
    [1048, 1153, 1264, 1265, 1292, 1300, 1364, 1366, 1406, 1411, 1416, 1452, 1526, 1644, 1690, 1748, 3140, 3141],
  ],
  ['data', [3156, 3157, 3819, 3854, 3903, 3904, 3907, 3988, 4025, 4036, 4037, 4038, 4039, 4040]],
  // The server answered, but cannot do it now: shutting down, full, read-only, out of time, of connections, of statements, of disk.
  [
    'away',
    [3, 1021, 1026, 1030, 1040, 1053, 1114, 1129, 1158, 1159, 1160, 1161, 1180, 1184, 1203, 1206, 1226, 1290, 1317],
  ],
  ['away', [1461, 1661, 1662, 1663, 1664, 1665, 1666, 1667, 1792, 1836, 1927, 1969, 3024, 3032, 3100, 4031]],
];

const DUPLICATE = 1062;

type DriverError = Error & {
  sqlState?: string | undefined;
  errno?: number | undefined;
  fatal?: boolean | undefined;
  code?: string | undefined;
};

const UNREACHABLE =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_\w+|ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|PROTOCOL_CONNECTION_LOST|NO_GREETING)$/;
/** No server has answered that can be used. False where a server refuses us, or has a certificate that is not trusted. */
export function isUnreachable(error: unknown): boolean {
  const { code = '', errno, message } = error as DriverError;
  return (
    errno === LOST_GROUP ||
    UNREACHABLE.test(code) ||
    (code === 'HANDSHAKE_SSL_ERROR' && /ECONNRESET|EPIPE|ETIMEDOUT/.test(message))
  );
}

/** A lock was not given in time: of a row, or of a table that another connection has locked or is changing. */
export const isLockWait = (error: unknown): boolean =>
  error instanceof StoreError && (error.cause as DriverError | undefined)?.errno === 1205;

/** There are too many connections, of the server or of the account: ours count, too. */
export const isFull = (error: unknown): boolean => {
  const { errno, message } = error as DriverError;
  return errno === 1040 || errno === 1203 || (errno === 1226 && /'max_user_connections'/.test(message));
};

/** Certificates, and how an account signs in: as with the numbers above a person must correct them. */
const MUST_CORRECT =
  /^(HANDSHAKE_NO_SSL_SUPPORT|HANDSHAKE_SSL_ERROR .*(certificate|altnames|does not match|version|protocol)|AUTH_SWITCH_PLUGIN_ERROR|MYSQL_CLEAR_PASSWORD_NOT_ENABLED)/;

/** Node tries all addresses of a name, and gives an error without a message when none answers. */
export function worded(error: Error): Error {
  if (error instanceof AggregateError && !error.message)
    error.message = error.errors.map(({ message }: Error) => message).join(', ');
  return error;
}

// Classes of SQLSTATE: data that does not fit, a constraint, and what a trigger signals, with whatever number.
const ABOUT_THE_ROW = /^(22|23|45)/;

export function failureOf({ errno = -1, code, message, fatal, sqlState = '' }: DriverError): Failure {
  if (errno < 0) return MUST_CORRECT.test(`${code} ${message}`) ? 'denied' : 'away';
  if (errno !== DUPLICATE && ABOUT_THE_ROW.test(sqlState)) return 'data';
  return NUMBERS.find(([, numbers]) => numbers.includes(errno))?.[0] ?? (fatal ? 'away' : 'other');
}

/** When no id is left MariaDB answers 167; MySQL answers 1467, or that the last id is there already. */
const isUsedUp = ({ errno, message }: DriverError): boolean =>
  errno === 167 || errno === 1467 || (errno === 1062 && /'4294967295' for key 'tblwh\.PRIMARY'/.test(message));

export function fromMysqlError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const one = error as DriverError;
  // Neither `duplicate` nor `data`: every other row would fail, too, and trying again does not help.
  if (!isUsedUp(one)) return new StoreError(failureOf(one), one);
  const message = `the ids of this table are used up: restante doctor tells what to do (${one.message})`;
  return new StoreError('other', Object.assign(new Error(message, { cause: one }), { code: IDS_USED_UP }));
}
