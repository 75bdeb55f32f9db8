// A certificate for 127.0.0.1, signed by itself and made with nothing but node:crypto: a service behind a private authority.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** One value of DER: a tag, the length of what it holds, what it holds. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
const [INTEGER, BITS, BYTES, UTF8, TIME] = [0x02, 0x03, 0x04, 0x0c, 0x17];
const list = (...parts: Buffer[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const time = (ms: number) => der(TIME, Buffer.from(`${new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14)}Z`));
const DAY_MS = 86_400_000;

export function selfSigned(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ecdsaWithSha256 = list(oid('2a8648ce3d040302'));
  const name = list(der(0x31, list(oid('550403'), der(UTF8, Buffer.from('Restante test')))));
  const address = list(der(0x87, Buffer.from([127, 0, 0, 1])));
  const authority = list(der(0x01, Buffer.from([255])));
  const facts = list(
    der(0xa0, der(INTEGER, Buffer.from([2]))),
    der(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    list(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    // Which address it is for, and that it may sign, itself.
    der(0xa3, list(list(oid('551d11'), der(BYTES, address)), list(oid('551d13'), der(BYTES, authority)))),
  );
  const whole = list(facts, ecdsaWithSha256, der(BITS, Buffer.from([0]), sign('sha256', facts, privateKey)));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
  };
}
