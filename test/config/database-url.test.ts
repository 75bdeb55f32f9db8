// DATABASE_URL: what it may say, what of it is refused at the start, and that TLS is on when it says so and only then.
import { describe, expect, test } from 'vitest';
import { parseMysqlUrl } from '../../src/config/database-url.ts';
import { openDb } from '../../src/store/open.ts';
import { cli, dropped, kept } from '../support/cli.ts';
import { emptyDatabase } from '../support/engines.ts';

describe('is read', () => {
  test.each([
    [
      'mysql://db/app',
      { hosts: [{ host: 'db', port: 3306 }], user: 'root', password: '', database: 'app', tls: 'off' },
    ],
    ['mysql://u:p@db:3307/app', { hosts: [{ host: 'db', port: 3307 }], user: 'u', password: 'p', database: 'app' }],
    ['mysql://u:s3c:r@t@db/app', { hosts: [{ host: 'db' }], user: 'u', password: 's3c:r@t' }],
    ['mysql://u@x:p@db/app', { hosts: [{ host: 'db' }], user: 'u@x', password: 'p' }],
    ['mysql://u%40x:%2F%3F%25@db/a%20b', { user: 'u@x', password: '/?%', database: 'a b' }],
    ['mysql://u@[::1]:3307/app', { hosts: [{ host: '::1', port: 3307 }], password: '' }],
    ['mysql://[2001:db8::7]/app', { hosts: [{ host: '2001:db8::7', port: 3306 }] }],
    [
      'mysql://u:p,w@h1,h2:3307/app',
      {
        hosts: [
          { host: 'h1', port: 3306 },
          { host: 'h2', port: 3307 },
        ],
        password: 'p,w',
      },
    ],
    [
      'mysql://[::1]:3307,h2,[::2]/app?ssl=true',
      { hosts: [{ host: '::1' }, { host: 'h2' }, { host: '::2' }], tls: 'on' },
    ],
    ['mysql://db/app?ssl=true', { tls: 'on' }],
    ['mysql://db/app?ssl=skip-verify', { tls: 'unverified' }],
    ['mysql://db/app?ssl=false', { tls: 'off' }],
  ])('%s', (url, found) => expect(parseMysqlUrl(url)).toMatchObject(found));
});

describe('is refused, with exit code 2 and a sentence that says why, and without the password', () => {
  test.each([
    ['?ssl=1', /ssl must be true, skip-verify or false, not "1"$/m],
    ['?ssl=constructor', /ssl must be/],
    ['?ssl=', /ssl must be/],
    ['?ssl=TRUE', /ssl must be/],
    ['?ssl=true&ssl=false', /ssl is given twice/],
    ['?sslmode=require', /knows no \?sslmode.*\?ssl=true/],
    ['?tls=true', /knows no \?tls/],
    ['?ssl=true&charset=utf8', /knows no \?charset/],
    ['?ssl-mode=DISABLED', /knows no \?ssl-mode/],
    ['#ssl', /must be mysql:/],
    ['/more', /must be mysql:/],
  ])('mysql://u:s3cret@db/app%s', async (end, why) => {
    for (const verb of ['serve', 'doctor', 'config']) {
      const { code, out, err } = await cli([verb], { DATABASE_URL: `mysql://u:s3cret@db/app${end}` });
      expect([verb, code, out, err]).toEqual([
        verb,
        2,
        '',
        expect.stringMatching(/^restante: One setting is wrong:\n {2}DATABASE_URL /),
      ]);
      expect(err).toMatch(why);
      expect(err).not.toContain('s3cret');
    }
  });
  test.each([
    'mysql://u:s3cret@db',
    'mysql://u:s3cret@/app',
    'mysql://u:s3cret@db:/app',
    'mysql://u:s3cret@db:0/app',
    'mysql://u:s3cret@db:65536/app',
    'mysql://u:s3cret@db:x/app',
    'mysql://u:s3/cret@db/app',
    'mysql://u:s3%cret@db/app',
    'mysql://u:s3cret@[::1/app',
    'mysql://u:s3cret@::1/app',
    'mysql://u:s3cret@d b/app',
    'mysql://u:s3cret@h1,/app',
    'mysql://u:s3cret@,h1/app',
    'mysql://u:s3cret@h1,,h2/app',
    'mysql://u:s3cret@h1, h2/app',
    'mysql://u:s3cret@h1:3306,h2:x/app',
  ])('%s', async (url) => {
    const { code, err } = await cli(['config'], { DATABASE_URL: url });
    expect([code, err]).toEqual([2, expect.stringMatching(/DATABASE_URL (must be mysql:|has a %)/)]);
    expect(err).not.toMatch(/s3.?cret/);
  });
});

test.each([
  ['', false],
  ['?ssl=false', false],
  ['?ssl=skip-verify', true],
])('MySQL at a URL that ends in "%s" is spoken to with TLS: %s', async (end, encrypted) => {
  const { url } = dropped(await emptyDatabase('mysql'));
  const db = kept(await openDb(url + end), (one) => one.close());
  const [row] = await db.all<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
  expect((row?.Value ?? '') !== '').toBe(encrypted);
});
