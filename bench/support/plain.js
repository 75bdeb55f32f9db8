// What the service is measured against: a bare node:http server, and one that does one INSERT per request with the driver.
import { createServer } from 'node:http';
import mysql from 'mysql2';

const [kind, port, url] = process.argv.slice(2);
const json = JSON.stringify({ username: '1' });
const pool = kind === 'insert' ? mysql.createPool({ uri: url, connectionLimit: 16, charset: 'utf8mb4' }) : undefined;
const INSERT = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES (?, ?, ?, ?, ?, ?)';

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': json.length });
    return response.end(json);
  }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const answer = (status) => {
      response.writeHead(status, { 'content-length': 0 });
      response.end();
    };
    if (!pool) return answer(200);
    pool.execute(INSERT, [body, '127.0.0.1', 1, '2026-11-22 10:00:00', 1, 1], (error) => answer(error ? 503 : 200));
  });
});
server.listen(Number(port), '127.0.0.1');
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
