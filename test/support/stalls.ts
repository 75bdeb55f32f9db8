// A watch on the event loop: which of its turns took long, and whose code it was that ran in them.
import { openSync, readSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';

/** No turn of the event loop may take longer, on the machine for which the limits are meant. */
export const LONGEST_TURN_MS = 100;
// A timer that is due in every turn which takes longer.
const TICK_MS = 5;
// A turn of 100 ms has 25 samples; the profiler takes 1 % of the time with that.
const SAMPLE_US = 4_000;
const FEW_SAMPLES = 10;

/** Milliseconds of CPU that a thread has had: its process's, where the system does not tell it of a thread. */
function openThreadClock(pid = process.pid): () => number {
  try {
    const file = openSync(`/proc/${pid}/task/${pid}/schedstat`, 'r');
    const bytes = Buffer.alloc(64);
    return () => Number(bytes.toString('latin1', 0, readSync(file, bytes, 0, 64, 0)).split(' ', 1)[0]) / 1e6;
  } catch {
    return () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    };
  }
}

const cpuMs = openThreadClock();

/** How much slower this machine is now than one on which a turn must take 100 ms at most: the best of three, never below 1. */
export function slownessNow(): number {
  const times = [0, 0, 0].map(() => {
    const began = cpuMs();
    let sum = 0;
    for (let i = 0; i < 2e7; i++) sum = (sum * 31 + i) | 0;
    // 20 ms on the machine for which the limits are meant; the sum is used, so that the loop is not optimized away.
    return (cpuMs() - began) / (sum === 1 ? 21 : 20);
  });
  return Math.max(1, Math.min(...times));
}

interface Turn {
  /** By process.hrtime, in microseconds. */
  readonly from: number;
  readonly to: number;
  /** Of CPU: what other threads and processes took meanwhile does not count. */
  readonly ms: number;
}

const nowUs = () => Number(process.hrtime.bigint() / 1000n);

/** Calls `onTurn` after each turn that took more than `ms` of this thread's CPU. */
function watchTurns(ms: number, onTurn: (turn: Turn) => void): () => void {
  let from = nowUs();
  let cpu = cpuMs();
  let faults = process.resourceUsage().majorPageFault;
  const timer = setInterval(() => {
    const [to, used, faulted] = [nowUs(), cpuMs(), process.resourceUsage().majorPageFault];
    // A turn that took long while the thread had no core was another's; one that waited for pages of a program that the system
    // had taken out of the memory, the machine's: that alone can take seconds, also of CPU.
    const took = faulted > faults ? 0 : Math.min((to - from) / 1000 - TICK_MS, used - cpu);
    if (took > ms) onTurn({ from, to, ms: took });
    from = to;
    cpu = used;
    faults = faulted;
  }, TICK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

export interface Stalls {
  /** The longest turn, whoever's code ran in it, in ms of this thread's CPU. */
  worst(): number;
  readonly slowness: number;
}

/** Watches from now on, until it is asked. */
export function watchStalls(): Stalls {
  const slowness = slownessNow();
  let worst = 0;
  const stop = watchTurns(0, ({ ms }) => {
    worst = Math.max(worst, ms);
  });
  return {
    slowness,
    worst() {
      stop();
      return worst;
    },
  };
}

// In every test that runs a service: the test and the service share the event loop, so a sampling profile tells whose turn it was.

/** Long turns of the product's code, each in words. */
export interface Watch {
  /** The long turns since it was last asked. */
  stalls(): string[];
  close(): void;
}

export function watchProduct(): Watch {
  const session = new Session();
  session.connect();
  const post = (method: string, params = {}): object => {
    let result: object = {};
    // Answers come at once.
    session.post(method, params, (error, given) => {
      if (error) throw error;
      result = given ?? {};
    });
    return result;
  };
  post('Profiler.enable');
  post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
  post('Profiler.start');
  let turns: Turn[] = [];
  const stop = watchTurns(LONGEST_TURN_MS, (turn) => {
    if (exempt === 0 && turn.from > exemptUntil) turns.push(turn);
  });
  return {
    stalls() {
      if (turns.length === 0) return [];
      const { profile } = post('Profiler.stop') as { profile: Profiler.Profile };
      post('Profiler.start');
      const long = turns.map((turn) => shareOf(turn, profile)).filter(({ ms }) => ms > LONGEST_TURN_MS);
      turns = [];
      if (long.length === 0) return [];
      const slowness = slownessNow();
      return long
        .filter(({ ms }) => ms > LONGEST_TURN_MS * slowness)
        .map(({ ms, functions }) => `${Math.round(ms)} ms in one turn (slowness ${slowness.toFixed(1)}): ${functions}`);
    },
    close() {
      stop();
      post('Profiler.stop');
      session.disconnect();
    },
  };
}

let exempt = 0;
let exemptUntil = 0;

/** What the product may take its time for, such as its start: turns of this time are not watched. */
export async function unwatched<T>(work: () => Promise<T>): Promise<T> {
  exempt++;
  try {
    return await work();
  } finally {
    exempt--;
    exemptUntil = nowUs();
  }
}

// What these do on their own account, when no function of ours has called them, is the product's.
const DEPENDENCIES = /\/(node_modules\/(?:@?fastify|avvio|find-my-way|mysql2|pino|lru-cache|prom-client)\/.*)$/;

/** The functions of a whole profile that took longest, with the ms that they had themselves. */
export function functionsOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): string {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const took = new Map<string, number>();
  for (const [i, id] of samples.entries()) {
    const { functionName = '', lineNumber = 0 } = byId.get(id) ?? {};
    const name = `${functionName || 'a function'}:${lineNumber + 1}`;
    took.set(name, (took.get(name) ?? 0) + (timeDeltas[i] ?? 0) / 1000);
  }
  took.delete('(idle):0');
  return [...took]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 8)
    .map(([name, ms]) => `${name} ${Math.round(ms)} ms`)
    .join(', ');
}

/** The CPU that the product's code had of a turn, and its functions, those that took longest first. */
function shareOf(turn: Turn, { nodes, samples = [], timeDeltas = [], startTime }: Profiler.Profile) {
  const owners = ownersOf(nodes);
  const byFunction = new Map<string, number>();
  let [at, all, product] = [startTime, 0, 0];
  for (const [i, id] of samples.entries()) {
    at += timeDeltas[i] ?? 0;
    if (at < turn.from || at > turn.to) continue;
    all++;
    const owner = owners.get(id);
    if (!owner) continue;
    product++;
    byFunction.set(owner, (byFunction.get(owner) ?? 0) + 1);
  }
  // On a busy machine the profiler gets no core either: of a few samples nothing can be said.
  const toMs = (count: number) => (product < FEW_SAMPLES ? 0 : (turn.ms * count) / all);
  const functions = [...byFunction]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 6)
    .map(([name, count]) => `${name} ${Math.round(toMs(count))} ms`)
    .join(', ');
  return { ms: toMs(product), functions };
}

/** By the id of a node: the function of the product in whose name it ran; undefined: the test's, the collector's, or nobody's. */
function ownersOf(nodes: readonly Profiler.ProfileNode[]): Map<number, string | undefined> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const owners = new Map<number, string | undefined>();
  const visit = (id: number, above: string | undefined, inTest: boolean): void => {
    const node = byId.get(id);
    if (!node) return;
    const { url, functionName, lineNumber } = node.callFrame;
    const ours = /\/(src\/.*\.ts)$/.exec(url)?.[1];
    const tests = ours === undefined && (inTest || /\/(test|bench|examples)\/.*\.ts$/.test(url));
    const theirs = above === undefined && !tests ? DEPENDENCIES.exec(url)?.[1] : undefined;
    const named = ours ?? theirs;
    const owner = tests ? undefined : named ? `${functionName || 'a function'} ${named}:${lineNumber + 1}` : above;
    owners.set(id, owner);
    for (const child of node.children ?? []) visit(child, owner, tests);
  };
  if (nodes[0]) visit(nodes[0].id, undefined, false);
  return owners;
}
