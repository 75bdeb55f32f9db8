// A worker: one user who sends webhooks and polls for them at a steady pace, from an address of his own, and tells how it went.
import { Agent, request } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { port, path, auth, localAddress } = workerData;
// Each second. Every tenth body is one that needs room.
const SENT = 60;
const POLLED = 60;
const SMALL = Buffer.from('{"id":"evt_1","type":"neighbour"}');
const LARGE = Buffer.alloc(100_000, 0x61);
// What takes longer has failed: a sender would not wait.
const GIVEN_UP_MS = 10_000;

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
// `gap`: how long this thread itself stood still. What was measured meanwhile says nothing of the service.
const newPhase = () => ({ sent: [], polled: [], failed: [], open: 0, gap: 0 });
let took = newPhase();
const live = new Set([took]);
let ticked = performance.now();
let next = 0;
let count = 0;

/** Resolves with the body, or rejects with what went wrong. */
const ask = (method, target, headers, body) =>
  new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', localAddress, agent, method, path: target, headers }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`${method} is ${answer.statusCode}: ${text.slice(0, 200)}`));
      });
    });
    asked.on('error', reject);
    asked.setTimeout(GIVEN_UP_MS, () => asked.destroy(new Error(`${method} has no answer after ${GIVEN_UP_MS} ms`)));
    asked.end(body);
  });

async function timed(kind, work) {
  const into = took;
  const began = performance.now();
  into.open++;
  try {
    await work();
    into[kind].push(performance.now() - began);
  } catch (error) {
    into.failed.push(`${kind}: ${error.message}`);
  }
  into.open--;
}

const send = () => {
  const body = count++ % 10 === 9 ? LARGE : SMALL;
  return timed('sent', () => ask('POST', path, { 'content-length': body.length }, body));
};
const poll = () =>
  timed('polled', async () => {
    const page = JSON.parse(await ask('GET', `/whcontent?whid=all&limit=20&id=${next}`, { authorization: auth }));
    next = page.next_id;
  });

/** However long an answer takes: those who wait for one leave the next to another. */
function pace(perSecond, work) {
  const began = performance.now();
  let done = 0;
  setInterval(() => {
    const now = performance.now();
    for (const phase of live) phase.gap = Math.max(phase.gap, now - ticked);
    ticked = now;
    // What was missed meanwhile is not made up for.
    done = Math.max(done, ((now - began) * perSecond) / 1000 - 2);
    for (; done < ((performance.now() - began) * perSecond) / 1000; done++) void work();
  }, 5);
}
pace(SENT, send);
pace(POLLED, poll);

// Each question ends a phase: what was begun in it is waited for, and told.
parentPort.on('message', async () => {
  const phase = took;
  took = newPhase();
  live.add(took);
  while (phase.open > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  live.delete(phase);
  parentPort.postMessage(phase);
});
