// Keeps the secrets of webhooks encrypted at rest: AES-256-GCM with SECRETS_KEY, bound to the user and the webhook.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { secretsKeyNeeded, secretsKeyOther } from '../errors.ts';
import { failed } from '../store/db.ts';
import { makeFlushedFile } from '../store/engine/files.ts';
import type { Store } from '../store/open.ts';
import { readKeyMark, saveKeyMark } from '../store/webhooks.ts';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export type Sealer = Awaited<ReturnType<typeof openSealer>>;

const LOST = 'If it is lost: restante webhook forget-secrets.';

/** The key is not the one with which the secrets in this database were encrypted. */
export class WrongSecretsKey extends Error {}

const wrongKey = (given: boolean, file?: string): WrongSecretsKey =>
  new WrongSecretsKey(
    given
      ? `SECRETS_KEY is not the key with which the secrets in this database were encrypted. Set the right one; nothing was changed. ${LOST}`
      : file
        ? `${file} is not there, or holds another key than the one with which the secrets in this database were encrypted. Put it back, or set SECRETS_KEY. ${LOST}`
        : `webhooks in this database have secrets, and SECRETS_KEY is not set. Set the key with which they were encrypted. ${LOST}`,
  );

/**
 * Takes SECRETS_KEY; on SQLite without it, a key file beside the database (0600). Rejects with WrongSecretsKey when the
 * database has secrets of another key. `onFirst`: told where the key is from when the first secret binds the database to it.
 */
export async function openSealer(
  store: Store,
  given: string | undefined,
  databaseUrl: string,
  onFirst: (from: string) => void = () => {},
) {
  const kept = store.extended ? await readKeyMark(store.db) : undefined;
  const file = databaseUrl.startsWith('sqlite:') ? `${databaseUrl.slice('sqlite:'.length)}.key` : undefined;
  const key = given !== undefined ? Buffer.from(given, 'hex') : file && keyIn(file, kept === undefined);
  const mark = key ? markOf(key) : undefined;
  if (kept !== undefined && kept !== mark) throw wrongKey(given !== undefined, file);

  return {
    /** To be called before `seal`. Rejects with a 409 without SECRETS_KEY, and when the database has secrets of another key by now. */
    async ready(): Promise<void> {
      if (mark === undefined) throw secretsKeyNeeded();
      // Each time: an operator may have made the database forget its key since this process began.
      if ((await readKeyMark(store.db)) === undefined)
        await saveKeyMark(store.db, mark).then(
          () => onFirst(given !== undefined ? 'SECRETS_KEY' : (file as string)),
          (error: unknown) => {
            if (!failed(error, 'duplicate')) throw error;
          },
        );
      if ((await readKeyMark(store.db)) !== mark) throw secretsKeyOther();
    },
    /** The encrypted text; only `open` with the same `owner` reads it. */
    seal(text: string, owner: string): string {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key as Buffer, nonce).setAAD(Buffer.from(owner));
      return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
        'base64',
      );
    },
    /** Undefined when it cannot be decrypted: the key is another one, or the text was changed. */
    open(sealed: string, owner: string): string | undefined {
      try {
        const bytes = Buffer.from(sealed, 'base64');
        const end = bytes.length - TAG_BYTES;
        const decipher = createDecipheriv(ALGORITHM, key as Buffer, bytes.subarray(0, NONCE_BYTES));
        decipher.setAAD(Buffer.from(owner)).setAuthTag(bytes.subarray(end));
        return decipher.update(bytes.subarray(NONCE_BYTES, end), undefined, 'utf8') + decipher.final('utf8');
      } catch {
        return undefined;
      }
    },
  };
}

/** Tells keys apart without revealing one: 48 bits of a hash, which a number of the database holds exactly. */
const markOf = (key: Buffer): number => createHash('sha256').update('restante').update(key).digest().readUIntBE(0, 6);

/**
 * The key file of an embedded database. It is a file of its own, so that a copy of the database alone reveals no secret.
 * Undefined when there is no file and none may be made.
 */
function keyIn(file: string, mayMake: boolean): Buffer | undefined {
  if (mayMake && !existsSync(file)) makeFlushedFile(file, `${randomBytes(KEY_BYTES).toString('hex')}\n`);
  if (!existsSync(file)) return undefined;
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
  if (key.length === KEY_BYTES) return key;
  if (!mayMake) throw wrongKey(false, file);
  throw new WrongSecretsKey(
    `${file} holds no key, which has 64 hex digits. No secret in this database needs it: remove the file, and a new one is made, or set SECRETS_KEY.`,
  );
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** For keys, tokens and ids: `length` letters and digits of 5.95 bits each, all equally likely. */
export function randomText(length: number): string {
  let text = '';
  while (text.length < length)
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += LETTERS[byte % 62];
  return text;
}
