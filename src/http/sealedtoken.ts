// Which of the sealed secrets of a webhook is its verify token.
import type { SealedSecret } from '../store/webhooks.ts';

/** Meta's verify token stands in the settings for whoever writes them, and is kept as a secret under this id. */
export const TOKEN_ID = 'verify.token';
/** What is told instead of it; sent back it changes nothing. */
export const HIDDEN = '***';
export const isToken = ({ id }: Pick<SealedSecret, 'id'>): boolean => id === TOKEN_ID;
