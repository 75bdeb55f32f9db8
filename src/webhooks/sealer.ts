// Keeps the secrets of webhooks encrypted at rest: AES-256-GCM with SECRETS_KEY, bound to the user and the webhook.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { secretsKeyNeeded, secretsKeyOther } from '../errors.ts';
import { failed } from '../store/db.ts';
import type { Store } from '../store/open.ts';
import { readKeyMark, saveKeyMark } from '../store/webhooks.ts';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Sealer {
  /** To be called before sealing. Rejects with a 409 while there is no SECRETS_KEY, and when the database has another by now. */
  ready(): Promise<void>;
  /** The text, encrypted; only `open` with the same `owner` reads it. */
  seal(text: string, owner: string): string;
  /** Undefined when it cannot be read: another key, or changed by somebody. */
  open(sealed: string, owner: string): string | undefined;
}

const LOST = 'If it is lost: restante webhook forget-secrets.';

/** What was given is not the key with which the secrets in this database were encrypted. */
export class WrongSecretsKey extends Error {
  constructor(given: boolean, file?: string) {
    super(
      given
        ? `SECRETS_KEY is not the key with which the secrets in this database were encrypted. Set the right one; nothing was changed. ${LOST}`
        : file
          ? `${file} is not there, or holds another key than the one with which the secrets in this database were encrypted. Put it back, or set SECRETS_KEY. ${LOST}`
          : `webhooks in this database have secrets, and SECRETS_KEY is not set. Set the key with which they were encrypted. ${LOST}`,
    );
  }
}

class BadKeyFile extends WrongSecretsKey {
  constructor(file: string) {
    super(false, file);
    this.message = `${file} holds no key: 64 hex digits. Nothing in this database needs it: remove the file, and another one is made, or set SECRETS_KEY.`;
  }
}

/**
 * Takes SECRETS_KEY; on SQLite, where none is set, a key of its own beside the database (0600). Rejects with
 * WrongSecretsKey when the database has secrets of another key. `onFirst`: with the first secret the key counts for all
 * processes on this database, so it is told where it came from.
 */
export async function openSealer(
  store: Store,
  given: string | undefined,
  databaseUrl: string,
  onFirst: (from: string) => void = () => {},
): Promise<Sealer> {
  const kept = store.extended ? await readKeyMark(store.db) : undefined;
  const file = databaseUrl.startsWith('sqlite:') ? `${databaseUrl.slice('sqlite:'.length)}.key` : undefined;
  const key = given !== undefined ? Buffer.from(given, 'hex') : file && keyIn(file, kept === undefined);
  const mark = key ? markOf(key) : undefined;
  if (kept !== undefined && kept !== mark) throw new WrongSecretsKey(given !== undefined, file);

  return {
    async ready() {
      if (mark === undefined) throw secretsKeyNeeded();
      // Each time: somebody may have made the database forget its key since this process began.
      if ((await readKeyMark(store.db)) === undefined)
        await saveKeyMark(store.db, mark).then(
          () => onFirst(given !== undefined ? 'SECRETS_KEY' : (file as string)),
          (error: unknown) => {
            if (!failed(error, 'duplicate')) throw error;
          },
        );
      if ((await readKeyMark(store.db)) !== mark) throw secretsKeyOther();
    },
    seal(text, owner) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key as Buffer, nonce).setAAD(Buffer.from(owner));
      return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
        'base64',
      );
    },
    open(sealed, owner) {
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

/** Tells keys apart without telling the key: 48 bits of a hash, as much as a number of the database holds exactly. */
const markOf = (key: Buffer): number => createHash('sha256').update('restante').update(key).digest().readUIntBE(0, 6);

/**
 * The embedded database is one person's: its key lies beside it, so that a copy of the database alone tells nothing.
 * Undefined when there is none and none may be made, or when it is no key.
 */
function keyIn(file: string, mayMake: boolean): Buffer | undefined {
  try {
    if (mayMake) writeFileSync(file, `${randomBytes(KEY_BYTES).toString('hex')}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (!existsSync(file)) return undefined;
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
  if (key.length === KEY_BYTES) return key;
  // With none in the database it is in nobody's way: a new one is made once this file is gone.
  throw mayMake ? new BadKeyFile(file) : new WrongSecretsKey(false, file);
}

// Random text for keys, tokens and ids.

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** `length` letters and digits, 5.95 bits each, every one as likely. */
export function randomText(length: number): string {
  let text = '';
  while (text.length < length)
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += LETTERS[byte % 62];
  return text;
}
