// Temporary: the client of the drain.
import http from 'node:http';
const [port, auth, name, lanes, limit] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const authorization = `Basic ${Buffer.from(auth).toString('base64')}`;
const call = (path, body) => new Promise((resolve, reject) => {
  const text = JSON.stringify(body);
  const request = http.request({ agent, port, host: '127.0.0.1', method: 'POST', path, headers: { authorization, 'content-length': Buffer.byteLength(text) } }, (answer) => {
    const parts = [];
    answer.on('data', (part) => parts.push(part));
    answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(parts) }));
  });
  request.on('error', reject);
  request.end(text);
});
await call(`/consumers/${name}/seek`, 'latest').catch(() => {});
let count = 0, calls = 0;
const times = [];
const began = performance.now();
await Promise.all(Array.from({ length: Number(lanes) }, async () => {
  let ack;
  for (;;) {
    const at = performance.now();
    const { status, body } = await call(`/consumers/${name}/pull`, { limit: Number(limit), start: 'earliest', ...(ack ? { ack } : {}) });
    times.push(performance.now() - at);
    if (status !== 200) throw new Error(body.toString());
    calls++;
    const headText = body.toString('latin1', 0, 20_000);
    const lease = /^\{"lease":"([^"]+)"/.exec(headText)?.[1];
    ack = lease;
    if (!lease) return;
    const tail = body.toString('latin1', body.length - 300);
    count += Number(limit);
  }
}));
const s = (performance.now() - began) / 1000;
times.sort((a, b) => a - b);
console.log(`lanes ${lanes} limit ${limit}: ${Math.round(count / s)}/s (${count} in ${s.toFixed(2)} s), ${calls} calls, p50 ${times[times.length >> 1].toFixed(1)} ms p99 ${times[Math.floor(times.length * 0.99)].toFixed(1)} ms`);
