// Ids of requests, for problems and the log.
import { randomBytes } from 'node:crypto';

const prefix = randomBytes(4).toString('hex');
let count = 0;
/** Unique over processes and restarts: a random prefix and a counter. */
export const createRequestId = (): string => `${prefix}-${(++count).toString(36)}`;
