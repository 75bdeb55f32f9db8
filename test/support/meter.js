// Preloaded into the program by metered.ts: tells its parent what the main thread has used since it was last asked.
import { openSync, readSync } from 'node:fs';
import { Session } from 'node:inspector';

// Turns that take longer are seen by this timer; what is allocated is added up as often.
const TICK_MS = 5;
const clock = openSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'r');
const bytes = Buffer.alloc(64);
/** Milliseconds of CPU that this thread has had. */
const cpuMs = () => Number(bytes.latin1Slice(0, readSync(clock, bytes, 0, 64, 0)).split(' ', 1)[0]) / 1e6;
/** What the collector has freed meanwhile is missing: the program is started with so large a nursery that it seldom works. */
const heldBytes = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

let last = { at: performance.now(), cpu: cpuMs(), held: heldBytes() };
let sum = { cpuMs: 0, turnMs: 0, allocated: 0 };
function count() {
  const now = { at: performance.now(), cpu: cpuMs(), held: heldBytes() };
  const used = now.cpu - last.cpu;
  sum.cpuMs += used;
  sum.turnMs = Math.max(sum.turnMs, Math.min(used, now.at - last.at - TICK_MS));
  sum.allocated += Math.max(0, now.held - last.held);
  last = now;
}
setInterval(count, TICK_MS);

const session = new Session();
session.connect();
process.on('message', (question) => {
  count();
  if (question === 'profile') {
    session.post('Profiler.enable');
    session.post('Profiler.setSamplingInterval', { interval: 1_000 });
    session.post('Profiler.start');
    process.send(sum);
  } else if (question === 'profiled') session.post('Profiler.stop', (_error, { profile }) => process.send(profile));
  else {
    // Garbage of earlier requests is not this one's.
    if (question === 'collect') globalThis.gc();
    process.send(sum);
  }
  last = { at: performance.now(), cpu: cpuMs(), held: heldBytes() };
  sum = { cpuMs: 0, turnMs: 0, allocated: 0 };
});
// Without a parent there is nobody to measure for.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
