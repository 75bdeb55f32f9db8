// The main job, end to end, on every engine: a webhook arrives, is kept, and is fetched.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from './support/engines.ts';

onEveryEngine('the main job', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const get = async (path: string) => {
    const answer = await fetch(service.url + path, { headers: { authorization: user.auth } });
    return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
  };

  test('keeps a webhook with its request and gives both back', async () => {
    const webhook = await service.webhook(user);
    const sent = await fetch(`${service.url + pathOf(webhook)}/sub?a=%20&a=2`, {
      method: 'PUT',
      body: Buffer.from([0, 255, 13, 10]),
      headers: { 'content-type': 'x/y', 'x-mixed-Case': 'ä' },
    });
    expect([sent.status, await sent.text()]).toEqual([200, '']);
    await service.settle();
    const page = JSON.parse((await get(`/whcontent?whid=${webhook.wh_id}`)).body.toString());
    expect(page.whcontent).toHaveLength(1);
    const [content] = page.whcontent;
    expect(Object.keys(content)).toEqual(['id', 'content', 'ip', 'api', 'dt', 'wh_id', 'encoding', 'request']);
    expect(content).toMatchObject({ ip: '127.0.0.1', api: 1, encoding: 'base64', content: 'AP8NCg==' });
    expect(content.request).toMatchObject({ method: 'PUT', url: '/sub?a=%20&a=2', verified: 'none' });
    expect(content.request.headers).toContainEqual(['x-mixed-Case', 'ä']);
    expect(page.next_id).toBe(content.id + 1);
    const raw = await get(`/whcontent/${content.id}/raw`);
    expect([...raw.body]).toEqual([0, 255, 13, 10]);
    expect(raw.headers.get('x-original-content-type')).toBe('x/y');
    expect(raw.headers.get('content-type')).toBe('application/octet-stream');
  });

  test('keeps every one of 500 webhooks that come at once', async () => {
    const webhook = await service.webhook(user);
    const target = service.url + pathOf(webhook);
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => fetch(target, { method: 'POST', body: `n${i}` })),
    );
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    await service.settle();
    const seen = new Set<string>();
    for (let id = 0; ; ) {
      const page = JSON.parse((await get(`/whcontent?whid=${webhook.wh_id}&id=${id}&limit=100`)).body.toString());
      for (const content of page.whcontent) seen.add(content.content);
      if (page.whcontent.length === 0) break;
      id = page.next_id;
    }
    expect(seen.size).toBe(500);
  });
});
