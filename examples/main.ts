// The classic service in one file: five calls over three tables that exist already. Read it, change it, put it into production.
//
//   DATABASE_URL=mysql://user:password@127.0.0.1/name npx tsx examples/main.ts       then open http://127.0.0.1:4343/docs
//
// The account needs SELECT (id, token) ON tbluser, SELECT ON tblwhid and SELECT, INSERT ON tblwh; nothing here changes a table.
// Put a proxy with TLS in front of it, and let the proxy limit failed logins: this file does not.
import { isUtf8 } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';
import { isIPv4 } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify';
import mysql, { type Pool, type QueryResult, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';

const DOCS = `Restante: what your webhooks received, over HTTP. JSON in and out, times in UTC.
Every call wants HTTP Basic authentication: your numeric user id and your token.
  export URL=http://127.0.0.1:4343 AUTH=1001:your-token

GET  /                 are my credentials good?              curl -u $AUTH $URL/
GET  /webhooks         wh_id, wh_url, wh_name, status        curl -u $AUTH $URL/webhooks
GET  /whcontent        contents from an id upwards           curl -u $AUTH "$URL/whcontent?whid=all&id=0&limit=100"
       id=0 the first id wanted: pass next_id as the next id; limit=20 how many at most, 1 to 100
       whid=0 the webhook: 0 is what you posted yourself, all is every webhook
GET  /whcontent/{id}   one content                           curl -u $AUTH $URL/whcontent/27
POST /whcontent        keep a content of your own            curl -u $AUTH -X POST "$URL/whcontent?content=hello"
       or as JSON      curl -u $AUTH --json '{"content":"hello"}' $URL/whcontent
       or any bytes    curl -u $AUTH --data-binary @file $URL/whcontent

A content has encoding "utf-8", or "windows-1252" when its bytes are not valid UTF-8.
Errors are application/problem+json: "detail" says what to do, and 422 lists the fields in "errors".
`;

const MAX_PAGE_BYTES = 8 * 2 ** 20; // a hundred big contents as one JSON text would be more than a string can hold
const CONTENT = 'id, CAST(content AS BINARY) AS content, ip, api, dt, wh_id'; // BINARY: the bytes, whatever the charset
const SESSION = `SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES', sql_big_selects = 1, sql_select_limit = ${2n ** 64n - 1n} /*!80000 , transaction_read_only = 0 */ /*M! , tx_read_only = 0 */`;
// Node 20's own decoder turns 80..9F of windows-1252 into control characters, so those 32 are spelled out.
const CP1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

type ContentRow = RowDataPacket & { id: number; content: Buffer; ip: string; api: number; dt: string; wh_id: number };
type Query = Record<string, string | undefined>;
type Problem = Error & { statusCode?: number; errors?: readonly { path: string; message: string }[] };

function problem(statusCode: number, message: string, more: Partial<Problem> = {}): Problem {
  return Object.assign(new Error(message), { statusCode, ...more });
}

function unprocessable(path: string, message: string): Problem {
  return problem(422, `The parameter ${path} ${message}.`, { errors: [{ path, message }] });
}

function answerProblem(error: Problem, request: FastifyRequest, reply: FastifyReply): void {
  const status = error.statusCode ?? 500;
  if (status >= 500) request.log.error(error);
  if (status === 401) reply.header('www-authenticate', 'Basic realm="Restante", charset="UTF-8"');
  if (status === 503) reply.header('retry-after', '5');
  const detail = status === 500 ? 'Internal error: the log has the rest under this request_id.' : error.message;
  const about = { type: 'about:blank', title: STATUS_CODES[status], status, detail, request_id: request.id };
  reply.code(status).type('application/problem+json');
  reply.send({ ...about, errors: error.errors });
}

function whole(text: string, path: string, min: number): number {
  const value = /^[0-9]+$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER) : -1;
  if (value < min) throw unprocessable(path, `must be a whole number, ${min} or more`);
  return value;
}

// Clients of old send parameters nobody knows: they are ignored, but whoever misspells one is told.
function withHint(request: FastifyRequest, known: readonly string[], answer: object): object {
  const unknown = Object.keys(request.query as Query).filter((name) => !known.includes(name));
  return unknown.length === 0 ? answer : { ...answer, hint: `Ignored unknown parameters: ${unknown.join(', ')}.` };
}

function toWire({ id, content, ip, api, dt, wh_id }: ContentRow): object {
  if (isUtf8(content)) return { id, content: content.toString('utf8'), ip, api, dt, wh_id, encoding: 'utf-8' };
  const text = content.toString('latin1').replace(/[\x80-\x9f]/g, (c) => CP1252.charAt(c.charCodeAt(0) - 0x80));
  return { id, content: text, ip, api, dt, wh_id, encoding: 'windows-1252' };
}

function ownContent(request: FastifyRequest): Buffer {
  const { content } = request.query as Query;
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  if (content === undefined && body.length === 0) throw unprocessable('content', 'is missing: send it, or send a body');
  if (content !== undefined && body.length > 0) throw unprocessable('content', 'and a body: send only one of them');
  if (content !== undefined) return Buffer.from(content);
  if (!isUtf8(body)) return body;
  try {
    const json: unknown = JSON.parse(body.toString('utf8'));
    const [[name, value] = [], ...others] = typeof json === 'object' ? Object.entries(json ?? {}) : [];
    if (name === 'content' && typeof value === 'string' && others.length === 0) return Buffer.from(value);
  } catch {} // not JSON: the bytes are the content
  return body;
}

// Give trustProxy the address of your proxy, or every posted content carries the proxy's ip.
export function build(pool: Pool, options: { logger?: boolean; trustProxy?: string } = {}): FastifyInstance {
  const app = fastify({
    ...options,
    logController: new LogController({ disableRequestLogging: true }), // ?content= is the user's text: not for the log
    bodyLimit: 10 * 2 ** 20, // below max_allowed_packet as MariaDB (16 MiB) and MySQL (64 MiB) ship it
    http: { maxHeaderSize: 65536 }, // ?content= travels in the request line, which Node would cut at 16 KiB
    frameworkErrors: answerProblem,
    routerOptions: { querystringParser: (text) => Object.fromEntries(new URLSearchParams(text)) }, // given twice: the last
  });
  pool.pool.on('connection', (one) => one.query(SESSION, (error) => error && one.destroy())); // whatever the server has set

  // The SQL is fixed and its parameters are checked, so what the database refuses is not the client's fault.
  async function run<T extends QueryResult>(sql: string, values: (string | number | Buffer)[]): Promise<T> {
    const [result] = await pool.execute<T>(sql, values).catch((cause) => {
      throw problem(503, 'The database does not answer: try again in a few seconds.', { cause });
    });
    return result;
  }

  // An unknown user is compared with an empty token: the same SELECT, the same comparison. We compare, and not the database,
  // because its collation would take ABC for abc; hashed, because timingSafeEqual wants equal lengths.
  async function authenticate(request: FastifyRequest, reply: FastifyReply) {
    reply.header('cache-control', 'no-store');
    const { accept = '', authorization } = request.headers;
    if (!authorization && request.url === '/' && accept.includes('text/html')) return reply.redirect('/docs');
    if (!authorization) throw problem(401, 'Not authenticated: send your user id and token as HTTP Basic.');
    const pair = Buffer.from(/^Basic +(\S+) *$/i.exec(authorization)?.[1] ?? '', 'base64');
    const [id = '', given = ''] = pair.toString('latin1').split(/:(.*)/s, 2);
    if (!/^[1-9][0-9]{0,9}$/.test(id)) throw problem(401, 'Incorrect Authentication: the user id is a number.');
    const sql = 'SELECT CAST(token AS BINARY) AS token FROM tbluser WHERE id = ?';
    const token: Buffer = (await run<RowDataPacket[]>(sql, [Number(id)]))[0]?.token ?? Buffer.alloc(0);
    const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
    const equal = timingSafeEqual(sha256(token), sha256(Buffer.from(given, 'latin1')));
    if (!equal || token.length === 0) throw problem(401, 'Incorrect Authentication: no user has this id and token.');
    request.setDecorator('user', Number(id));
  }
  const secured = { onRequest: authenticate };
  const userOf = (request: FastifyRequest) => request.getDecorator<number>('user');
  app.decorateRequest('user', 0);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request, reply) => answerProblem(problem(404, 'No such call: see /docs.'), request, reply));

  app.get('/docs', (_request, reply) => reply.type('text/plain; charset=utf-8').send(DOCS));
  app.get('/', secured, async (request) => withHint(request, [], { username: String(userOf(request)) }));
  app.get('/webhooks', secured, async (request) => {
    const sql = 'SELECT id AS wh_id, wh_url, wh_name, status FROM tblwhid WHERE user_id = ? ORDER BY id';
    return withHint(request, [], { webhooks: await run<RowDataPacket[]>(sql, [userOf(request)]) });
  });

  app.get('/whcontent', secured, async (request) => {
    const query = request.query as Query;
    const id = whole(query.id ?? '0', 'id', 0);
    const limit = Math.min(whole(query.limit ?? '20', 'limit', 1), 100);
    const whid = query.whid ?? '0';
    const [filter, webhook] = whid === 'all' ? ['', []] : ['AND wh_id = ?', [whole(whid, 'whid', 0)]];
    const sql = `SELECT ${CONTENT} FROM tblwh WHERE user_id = ? ${filter} AND id >= ? ORDER BY id LIMIT ?`;
    const rows = await run<ContentRow[]>(sql, [userOf(request), ...webhook, id, limit]);
    let bytes = 0;
    const page = rows.filter((row, index) => {
      bytes += row.content.length;
      return index === 0 || bytes <= MAX_PAGE_BYTES;
    });
    // A plain-id cursor has one weakness: ids are given out before the commit. A row whose transaction commits late can
    // appear below a next_id that was answered before, and a client that only goes forward never sees it. Where writers keep
    // transactions open, read again from a little lower and drop the ids you have, or run the full service: it waits for them.
    const next_id = (page.at(-1)?.id ?? id - 1) + 1;
    return withHint(request, ['id', 'whid', 'limit'], { whcontent: page.map(toWire), next_id });
  });

  app.get<{ Params: { id: string } }>('/whcontent/:id', secured, async (request) => {
    const sql = `SELECT ${CONTENT} FROM tblwh WHERE user_id = ? AND id = ?`;
    const [row] = await run<ContentRow[]>(sql, [userOf(request), whole(request.params.id, 'id', 0)]);
    if (!row) throw problem(404, 'The webhook id does not exist for such user');
    return withHint(request, [], toWire(row));
  });

  const anyType = async (request: FastifyRequest) => void delete request.raw.headers['content-type']; // even a malformed one
  app.post('/whcontent', { onRequest: [authenticate, anyType] }, async (request, reply) => {
    const ip = request.ip.replace(/^::ffff:/i, ''); // varchar(15): a cut IPv6 address would be a wrong one that looks right
    const dt = new Date().toISOString().slice(0, 19).replace('T', ' ');
    const sql = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES (?, ?, 0, ?, ?, 0)';
    // A Buffer goes as a binary parameter: as text, what latin1 cannot hold would be refused or turned into "?".
    const values = [ownContent(request), isIPv4(ip) ? ip : 'ipv6', dt, userOf(request)];
    const { insertId } = await run<ResultSetHeader>(sql, values);
    return reply.code(201).send(withHint(request, ['content'], { result: 'ok', id: insertId }));
  });

  return app;
}

async function main(): Promise<void> {
  const { DATABASE_URL, HOST = '127.0.0.1', PORT = '4343' } = process.env;
  if (!DATABASE_URL) throw new Error('Set DATABASE_URL, for example mysql://user:password@127.0.0.1/name');
  // queueLimit: while the database stalls, more waiting requests would only die later; they get their 503 now.
  const pool = mysql.createPool({ uri: DATABASE_URL, connectionLimit: 10, connectTimeout: 5000, queueLimit: 1000 });
  const app = build(pool, { logger: true });
  app.addHook('onClose', () => pool.end());
  process.once('SIGTERM', () => void app.close());
  await app.listen({ host: HOST, port: Number(PORT) });
}

const [, started = ''] = process.argv; // by its real path: deployments love symbolic links
if (existsSync(started) && realpathSync(started) === import.meta.filename) await main();
