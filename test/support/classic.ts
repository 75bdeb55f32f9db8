// A recorded conversation with the classic single-file version of this service, and the database it was held over.
import { expect } from 'vitest';

/** The three tables as the other applications made them; not one character of this is ours to change. */
export const baseTables: readonly string[] = [
  `CREATE TABLE \`tbluser\` (\`id\` int(10) unsigned NOT NULL AUTO_INCREMENT, \`email\` varchar(45) NOT NULL, \`phone\` varchar(45) NOT NULL,
  \`token\` varchar(45) NOT NULL, \`status\` tinyint(3) unsigned NOT NULL DEFAULT '0', \`pwd\` varchar(45) NOT NULL, PRIMARY KEY (\`id\`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1`,
  `CREATE TABLE \`tblwhid\` (\`id\` int(10) unsigned NOT NULL DEFAULT '0', \`user_id\` int(10) unsigned NOT NULL, \`wh_url\` varchar(255) NOT NULL,
  \`wh_name\` varchar(45) NOT NULL, \`status\` tinyint(1) NOT NULL, PRIMARY KEY (\`id\`)) ENGINE=InnoDB DEFAULT CHARSET=latin1`,
  `CREATE TABLE \`tblwh\` (\`id\` int(10) unsigned NOT NULL AUTO_INCREMENT, \`content\` longtext NOT NULL, \`ip\` varchar(15) NOT NULL,
  \`api\` tinyint(1) NOT NULL, \`dt\` varchar(30) NOT NULL, \`user_id\` int(10) unsigned NOT NULL, \`wh_id\` int(10) unsigned NOT NULL,
  PRIMARY KEY (\`id\`)) ENGINE=InnoDB AUTO_INCREMENT=27 DEFAULT CHARSET=latin1`,
];

export const classicUser = { id: 1001, token: 'Kq3v9Zt1Xc7Bn5Mw2Lp8Rj4Hd6Gf0SyA' } as const;

// The ids are spelled out, though AUTO_INCREMENT would give the same, so that the rows fit every engine.
/** Two users, three webhooks, six contents; written for any SQL database. */
export const seed: readonly string[] = [
  `INSERT INTO tbluser (id, email, phone, token, status, pwd) VALUES
    (1001, 'ana@example.org', '+1555', '${classicUser.token}', 1, 'x'),
    (1002, 'bo@example.org', '+1556', 'Zz3v9Zt1Xc7Bn5Mw2Lp8Rj4Hd6Gf0SyB', 1, 'x')`,
  `INSERT INTO tblwhid (id, user_id, wh_url, wh_name, status) VALUES
    (7, 1001, 'https://hooks.example.org/?rid=w2e34t', 'My payment method webhook', 1),
    (9, 1001, 'https://hooks.example.org/?rid=y77ip', 'WhatsApp', 0),
    (8, 1002, 'https://hooks.example.org/?rid=zz1', 'Not yours', 1)`,
  `INSERT INTO tblwh (id, content, ip, api, dt, user_id, wh_id) VALUES
    (27, '{"id":"evt_1","type":"charge.succeeded"}', '3.18.12.63', 1, '2022-01-09 05:31:38', 1001, 7),
    (28, 'My own note', '127.0.0.1', 0, '2022-01-09 05:52:02', 1001, 0),
    (29, '{"id":"evt_2","type":"charge.refunded"}', '3.18.12.63', 1, '2022-01-09 05:53:00', 1001, 7),
    (30, 'not yours', '3.18.12.63', 1, '2022-01-09 05:54:00', 1002, 8),
    (31, 'SmsMessageSid=SM1&Body=Hi%21&From=whatsapp%3A%2B15551234567', '54.1.2.3', 1, '2022-01-09 05:55:00', 1001, 9),
    (32, '{"id":"evt_3","type":"charge.succeeded"}', '3.18.12.63', 1, '2022-01-09 05:56:00', 1001, 7)`,
];

interface Content {
  readonly id: number;
  readonly content: string;
  readonly ip: string;
  readonly api: number;
  readonly dt: string;
  readonly wh_id: number;
}

const payment = (id: number, event: string, type: string, time: string): Content => {
  const content = `{"id":"${event}","type":"charge.${type}"}`;
  return { id, content, ip: '3.18.12.63', api: 1, dt: `2022-01-09 ${time}`, wh_id: 7 };
};
const own = (id: number, content: string, dt: string): Content => ({
  id,
  content,
  ip: '127.0.0.1',
  api: 0,
  dt,
  wh_id: 0,
});

const first = payment(27, 'evt_1', 'succeeded', '05:31:38');
const note = own(28, 'My own note', '2022-01-09 05:52:02');
const second = payment(29, 'evt_2', 'refunded', '05:53:00');
const third = payment(32, 'evt_3', 'succeeded', '05:56:00');
const whatsapp: Content = {
  id: 31,
  content: 'SmsMessageSid=SM1&Body=Hi%21&From=whatsapp%3A%2B15551234567',
  ip: '54.1.2.3',
  api: 1,
  dt: '2022-01-09 05:55:00',
  wh_id: 9,
};
// dt is the moment of the recording; of the answer only its form can be the same.
const posted = own(33, 'A note with "quotes" and &', '2026-11-22 16:29:50');
const payments = 'https://hooks.example.org/?rid=w2e34t';
const messages = 'https://hooks.example.org/?rid=y77ip';

/** What was sent, with Ana's credentials unless `authorization` says otherwise, and what a client could rely on in the answer. */
interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly authorization?: 'none' | 'wrong token';
  readonly status: number;
  /** Left out for 401 and 422: those bodies were FastAPI's own, and are problem documents now. */
  readonly body?: object;
}

/** In this order, over `baseTables` with `seed`: the one POST changes what later answers hold. */
const conversation: readonly Exchange[] = [
  { method: 'GET', path: '/', status: 200, body: { username: '1001' } },
  {
    method: 'GET',
    path: '/webhooks',
    status: 200,
    body: {
      webhooks: [
        { wh_id: 7, wh_url: payments, wh_name: 'My payment method webhook', status: 1 },
        { wh_id: 9, wh_url: messages, wh_name: 'WhatsApp', status: 0 },
      ],
    },
  },
  { method: 'GET', path: '/whcontent', status: 200, body: { whcontent: [note] } },
  { method: 'GET', path: '/whcontent?whid=7', status: 200, body: { whcontent: [first, second, third] } },
  { method: 'GET', path: '/whcontent?whid=7&limit=2', status: 200, body: { whcontent: [first, second] } },
  { method: 'GET', path: '/whcontent?id=29&whid=7', status: 200, body: { whcontent: [second, third] } },
  { method: 'GET', path: '/whcontent?id=29&whid=7&limit=1000', status: 200, body: { whcontent: [second, third] } },
  { method: 'GET', path: '/whcontent?id=1000000&whid=7', status: 200, body: { whcontent: [] } },
  { method: 'GET', path: '/whcontent?whid=8', status: 200, body: { whcontent: [] } },
  { method: 'GET', path: '/whcontent?whid=9', status: 200, body: { whcontent: [whatsapp] } },
  { method: 'GET', path: '/whcontent/27', status: 200, body: first },
  { method: 'GET', path: '/whcontent/28', status: 200, body: note },
  {
    method: 'GET',
    path: '/whcontent/30',
    status: 404,
    body: { detail: 'The webhook id does not exist for such user' },
  },
  {
    method: 'GET',
    path: '/whcontent/999999',
    status: 404,
    body: { detail: 'The webhook id does not exist for such user' },
  },
  {
    method: 'POST',
    path: '/whcontent?content=A%20note%20with%20%22quotes%22%20and%20%26',
    status: 201,
    body: { result: 'ok' },
  },
  { method: 'GET', path: '/whcontent?id=33', status: 200, body: { whcontent: [posted] } },
  { method: 'GET', path: '/whcontent/abc', status: 422 },
  { method: 'GET', path: '/whcontent?limit=abc', status: 422 },
  { method: 'GET', path: '/', authorization: 'none', status: 401 },
  { method: 'GET', path: '/', authorization: 'wrong token', status: 401 },
];

interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** The JSON value, or its text. */
  readonly body: unknown;
}

export type Request = (
  method: 'GET' | 'POST',
  path: string,
  headers: Readonly<Record<string, string>>,
) => Promise<Answer>;

/** Holds the whole conversation with the service behind `request`, and fails at the first answer a classic client would stumble over. */
export async function checkClassicConversation(request: Request): Promise<void> {
  for (const exchange of conversation) {
    const answer = await request(exchange.method, exchange.path, credentials(exchange.authorization));
    const body: unknown = typeof answer.body === 'string' ? JSON.parse(answer.body) : answer.body;
    const where = `${exchange.method} ${exchange.path}${exchange.authorization ? ` (${exchange.authorization})` : ''}`;
    expect(answer.status, where).toBe(exchange.status);
    if (answer.status >= 400) checkProblem(answer, body, where);
    if (exchange.body) checkBody(exchange.body, body, where);
  }
}

function credentials(authorization: Exchange['authorization']): Record<string, string> {
  if (authorization === 'none') return {};
  const token = authorization === 'wrong token' ? 'not-the-token' : classicUser.token;
  return { authorization: `Basic ${Buffer.from(`${classicUser.id}:${token}`).toString('base64')}` };
}

function checkProblem(answer: Answer, body: unknown, where: string): void {
  expect(answer.headers['content-type'], where).toMatch(/^application\/problem\+json\b/);
  expect(body, where).toMatchObject({ status: answer.status, detail: expect.stringMatching(/\S/) });
  if (answer.status === 401) expect(answer.headers['www-authenticate'], where).toMatch(/^Basic\b/);
  if (answer.status !== 422) return;
  const { errors } = body as { errors?: unknown[] };
  expect(errors?.[0], where).toMatchObject({ path: expect.any(String), message: expect.any(String) });
}

/** Members may follow those of a content, of a page and of a result; what else there is comes back as it was. */
function checkBody(expected: object, body: unknown, where: string): void {
  if ('whcontent' in expected) {
    const contents = expected.whcontent as readonly Content[];
    const page = (body as { whcontent?: unknown[] }).whcontent;
    expect(page, where).toHaveLength(contents.length);
    for (const [index, content] of contents.entries()) checkContent(content, page?.[index], `${where} [${index}]`);
  } else if ('content' in expected) {
    checkContent(expected as Content, body, where);
  } else if ('result' in expected || 'detail' in expected) {
    expect(body, where).toMatchObject(expected);
  } else {
    expect(body, where).toEqual(expected);
  }
}

function checkContent(expected: Content, content: unknown, where: string): void {
  const fields = Object.entries(content as Content).slice(0, 6);
  const moment = expected === posted ? { dt: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/) } : {};
  const ip = expected === posted ? { ip: expect.stringMatching(/^[0-9.]{7,15}$|^ipv6$/) } : {};
  expect(
    fields.map(([name]) => name),
    where,
  ).toEqual(Object.keys(expected));
  expect(Object.fromEntries(fields), where).toEqual({ ...expected, ...moment, ...ip });
}
