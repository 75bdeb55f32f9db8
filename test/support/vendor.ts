// A provider's host with certificates, on real TLS with a CA of its own, and an X.509 encoder that needs nothing but Node.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';

const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length = body.length.toString(16);
  const bytes = Buffer.from(length.length % 2 ? `0${length}` : length, 'hex');
  return Buffer.concat([
    Buffer.from(body.length < 128 ? [tag, body.length] : [tag, 0x80 | bytes.length, ...bytes]),
    body,
  ]);
};
const seq = (...parts: Buffer[]) => tlv(0x30, ...parts);
const oid = (hex: string) => tlv(6, Buffer.from(hex, 'hex'));
const RSA_SHA256 = seq(oid('2a864886f70d01010b'), tlv(5));
const nameOf = (name: string) => seq(tlv(0x31, seq(oid('550403'), tlv(12, Buffer.from(name)))));
const time = (ms: number) =>
  tlv(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`));

export interface Issued {
  readonly privateKey: KeyObject;
  readonly name: string;
  readonly pem: string;
}
interface Wish {
  readonly names?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly issuer?: Issued;
  readonly bits?: number;
}
const DAY_MS = 86_400_000;
let serial = 1;

/** A certificate for this common name, signed by the issuer or by itself. */
export function issue(name: string, wish: Wish = {}): Issued {
  const { names = [], from = Date.now() - DAY_MS, to = Date.now() + DAY_MS, issuer, bits = 2048 } = wish;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const alternatives = seq(...names.map((one) => tlv(0x82, Buffer.from(one))));
  const extension =
    names.length > 0
      ? seq(oid('551d11'), tlv(4, alternatives))
      : seq(oid('551d13'), tlv(4, seq(tlv(1, Buffer.from([255])))));
  const signed = seq(
    ...[tlv(0xa0, tlv(2, Buffer.from([2]))), tlv(2, Buffer.from([serial++])), RSA_SHA256, nameOf(issuer?.name ?? name)],
    ...[seq(time(from), time(to)), nameOf(name), publicKey.export({ format: 'der', type: 'spki' })],
    tlv(0xa3, seq(extension)),
  );
  const signature = sign('sha256', signed, issuer?.privateKey ?? privateKey);
  const der = seq(signed, RSA_SHA256, tlv(3, Buffer.from([0]), signature));
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  return { privateKey, name, pem };
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Every host that the agent is asked for is this server: what the product asks, and of whom, is what it would ask the world. */
export async function startVendor(hosts: readonly string[]) {
  const ca = issue('Test CA');
  const own = issue('vendor', { names: hosts, issuer: ca });
  const asked: string[] = [];
  const files = new Map<string, string | Answer>();
  const key = own.privateKey.export({ format: 'pem', type: 'pkcs8' });
  const server = createServer({ key, cert: own.pem }, (request, response) => {
    const url = `https://${request.headers.host}${request.url}`;
    asked.push(url);
    const file = files.get(url);
    if (typeof file === 'function') return file(request, response);
    response.writeHead(file === undefined ? 404 : 200).end(file ?? 'not found');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const agent = new Agent();
  const vendor = { asked, files, agent, down: false, tried: 0, close };
  // Only where the bytes go is changed: the name is checked as ever.
  agent.createConnection = (given) => {
    const options = given as ConnectionOptions;
    vendor.tried++;
    const servername = options.servername || (options.host as string);
    return connect({ ...options, servername, host: '127.0.0.1', port: vendor.down ? 1 : port, ca: ca.pem });
  };
  async function close() {
    agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return vendor;
}
