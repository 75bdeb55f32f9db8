// A service whose PUBLIC_URL is where it listens, and users who have something of everything: for tests of the documentation.
import { type AddressInfo, connect, createServer } from 'node:net';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { pathOf, type Service, startService, type TestUser } from '../support/engines.ts';

/** Samples name PUBLIC_URL, which is fixed before a service listens: a door on that port leads to it. */
export async function startPublic(databaseUrl: string, env: Record<string, string> = {}): Promise<Service> {
  let port = 0;
  const door = createServer((socket) => {
    const to = connect(port, '127.0.0.1');
    socket.pipe(to).pipe(socket);
    for (const [one, other] of [
      [socket, to],
      [to, socket],
    ] as const)
      one.on('error', () => other.destroy());
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
  const service = await startService(databaseUrl, { ...env, PUBLIC_URL: url });
  port = service.port;
  const close = async () => {
    door.close();
    await service.close();
  };
  return { ...service, url, close };
}

export interface Someone extends TestUser {
  readonly webhook: WebhookDetail;
  /** The id of the newest content. */
  readonly newest: number;
}

/** A user with two webhooks, contents, a consumer and a refusal. */
export async function someone(service: Service, name: string, user?: TestUser): Promise<Someone> {
  const one = user ?? (await service.user());
  const webhook = await service.webhook(one, { wh_name: `Payments of ${name}` });
  await refused(service, one);
  for (let i = 0; i < 8; i++) {
    const body = JSON.stringify({ id: `evt_${name}_${i}`, type: 'charge.succeeded' });
    await fetch(service.url + pathOf(webhook), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
  }
  await service.settle();
  const headers = { authorization: one.auth };
  await fetch(`${service.url}/consumers/billing`, { method: 'PUT', headers, body: '{"start":"earliest"}' });
  const list = await fetch(`${service.url}/whcontent?whid=all&order=desc&limit=1`, { headers });
  const { whcontent } = (await list.json()) as { whcontent: { id: number }[] };
  return { ...one, webhook, newest: whcontent[0]?.id ?? 0 };
}

/** A request whose signature is wrong, kept with its bytes. */
async function refused(service: Service, user: TestUser): Promise<void> {
  const verify = { scheme: 'hmac', signature: { from: 'header:X-Signature' } };
  const signed = await service.webhook(user, {
    wh_name: 'Signed',
    preset: 'generic',
    secrets: ['a long secret'],
    verify,
  });
  await fetch(service.url + pathOf(signed), {
    method: 'POST',
    headers: { 'x-signature': '00'.repeat(32) },
    body: '{"id":"evt_forged"}',
  });
}

type Samples = { readonly label: string; readonly lang: string; readonly source: string }[];
export interface ShownOperation {
  readonly responses: Readonly<Record<string, unknown>>;
  readonly 'x-codeSamples': Samples;
  readonly parameters?: readonly { readonly name: string; readonly example?: unknown }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly example?: unknown; readonly schema?: unknown }>>;
  };
}
export interface ShownDocument {
  readonly info: { readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, ShownOperation>>>>;
}
