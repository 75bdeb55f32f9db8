// How the text of a setting becomes its value: each throws a sentence that says what it must be.
import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseMysqlUrl } from './databaseurl.ts';

export const text = (value: string) => value;
export function whole(min: number, max: number) {
  return (value: string): number => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Error(`must be a whole number from ${min} to ${max}`);
    return number;
  };
}
export const oneOf =
  <T extends string>(...values: readonly T[]) =>
  (value: string): T => {
    if (!(values as readonly string[]).includes(value)) throw new Error(`must be one of ${values.join(', ')}`);
    return value as T;
  };
/** Its flag says 1 by being there. */
export function onOff(value: string): boolean {
  if (/^(1|true)$/i.test(value)) return true;
  if (/^(0|false)$/i.test(value)) return false;
  throw new Error('must be 1 or 0, or true or false');
}
export const list = (value: string): string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
export function databaseUrl(value: string): string {
  if (!/^sqlite:./.test(value)) parseMysqlUrl(value);
  return value;
}
export function httpUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash)
    throw new Error('must be an http:// or https:// URL without query');
  return value.replace(/\/+$/, '');
}
/** A page for people: may have a query, unlike what URLs are computed from. */
export function linkUrl(value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
    throw new Error('must be an http:// or https:// URL');
  return new URL(value).href;
}
export const upTo =
  (most: number) =>
  (value: string): string => {
    if (value.length > most) throw new Error(`must not be longer than ${most} characters`);
    return value;
  };
const MOST_IMAGE = 256 * 1024;
/** The path of an image that can be sent. */
export function imageFile(path: string): string {
  if (!/\.(svg|png|jpe?g|webp)$/i.test(path)) throw new Error('must be a file that ends in .svg, .png, .jpg or .webp');
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file?.isFile()) throw new Error('must be a file that is there');
  if (file.size > MOST_IMAGE) throw new Error(`must not be larger than ${MOST_IMAGE} bytes`);
  return path;
}
/** 32 bytes, as hex. */
export function key(value: string): string {
  if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
  const bytes = /^[A-Za-z0-9+/_-]{43}=?$/.test(value) ? Buffer.from(value, 'base64') : undefined;
  if (bytes?.length !== 32) throw new Error('must be 32 bytes as 64 hex digits or as base64: openssl rand -hex 32');
  return bytes.toString('hex');
}
export function origin(value: string): string {
  if (httpUrl(value) !== new URL(value).origin)
    throw new Error('must be origins such as https://hooks.example.org, separated by commas');
  return value;
}
export function network(value: string): string {
  const [address = '', bits] = value.split('/');
  const family = isIP(address);
  const named = ['loopback', 'linklocal', 'uniquelocal'].includes(value);
  if (!named && (!family || (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))))
    throw new Error('must be addresses, CIDR networks or loopback, linklocal, uniquelocal, separated by commas');
  return value;
}
export function timeZone(value: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    throw new Error('must be a time zone such as UTC or Europe/Vienna');
  }
}
