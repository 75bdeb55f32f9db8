// Makes the key out of the text of a secret: characters, base64, hex, or a public key in any of its usual clothes.
import { createPublicKey, type KeyObject } from 'node:crypto';

export interface KeyRule {
  readonly algorithm: string;
  readonly keyEncoding: 'utf8' | 'base64' | 'hex';
  readonly keyPrefix: string;
}

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
const HEX = /^([0-9a-fA-F]{2})+$/;
// RFC 8410: what stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo.
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const TYPES: Readonly<Record<string, string>> = { ed25519: 'ed25519', 'ecdsa-p256': 'ec', 'rsa-sha256': 'rsa' };

export const isAsymmetric = (algorithm: string): boolean => algorithm in TYPES;

/** The key, or a sentence that says why this text is none. */
export function readKey(rule: KeyRule, value: string): Buffer | KeyObject | string {
  const text = rule.keyPrefix !== '' && value.startsWith(rule.keyPrefix) ? value.slice(rule.keyPrefix.length) : value;
  if (isAsymmetric(rule.algorithm)) return readPublicKey(rule.algorithm, text.trim());
  if (text === '') return 'must not be empty';
  if (rule.keyEncoding === 'utf8') return Buffer.from(text);
  const after = rule.keyPrefix === '' ? '' : ` after ${rule.keyPrefix}`;
  if (rule.keyEncoding === 'hex')
    return HEX.test(text.trim()) ? Buffer.from(text.trim(), 'hex') : `must be hexadecimal${after}`;
  const bytes = Buffer.from(text.trim(), 'base64');
  return BASE64.test(text.trim()) && bytes.length > 0 ? bytes : `must be base64${after}`;
}

function readPublicKey(algorithm: string, text: string): KeyObject | string {
  const wanted = `must be a public key for ${algorithm}: PEM, base64 of its DER form${algorithm === 'ed25519' ? ', or its 32 bytes in hex or base64' : ''}`;
  try {
    const key = createPublicKey(text.startsWith('-----BEGIN PUBLIC KEY') ? text : fromDer(algorithm, text));
    if (key.asymmetricKeyType !== TYPES[algorithm]) return wanted;
    if (algorithm === 'ecdsa-p256' && key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return wanted;
    return key;
  } catch {
    return wanted;
  }
}

function fromDer(algorithm: string, text: string) {
  const bytes = Buffer.from(text, HEX.test(text) ? 'hex' : 'base64');
  const raw = algorithm === 'ed25519' && bytes.length === 32;
  return { key: raw ? Buffer.concat([ED25519_SPKI, bytes]) : bytes, format: 'der', type: 'spki' } as const;
}
